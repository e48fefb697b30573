"""The process table of macOS, read from a fake libSystem that tells of this machine."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import darwin
import pytest
from darwin_keeper import darwin_bundle, on_a_mac
from muster_processes import is_running, until

from spawners import _os
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.keeper import libproc
from spawners.keeper.lineage import Lineage
from spawners.launch import Chunk, Launch, Stdin

pytestmark = pytest.mark.needs("linux")

MARK = "MUSTER_AGENT_DIR"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> darwin.Library:
    made = darwin.Library()
    monkeypatch.setattr(libproc, "LIBRARY", [made])
    return made


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that only sleeps, with these variables; every one is ended afterwards."""
    running = []

    def begin(env: dict[str, str] | None = None, *, session: bool = False) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["/bin/sleep", "1000"], env=env or {}, start_new_session=session)
        until(lambda: darwin.stat(process.pid)[0] == "sleep", "its exec")
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()


# ---- layouts


def test_the_layouts_are_as_long_as_the_headers_say() -> None:
    """The fake has the fields as a C compiler lays them out."""
    assert libproc.BSDINFO.size == ctypes.sizeof(darwin.ProcBsdInfo) == 136
    assert libproc.SHORT.size == ctypes.sizeof(darwin.ProcBsdShortInfo) == 64
    assert libproc.UNIQUE.size == ctypes.sizeof(darwin.ProcUniqIdentifierInfo) == 56


GOLDEN = bytes.fromhex(
    "14400000 04000000 00000000 d2040000"  # flags, status SSTOP, xstatus, pid 1234
    "2a000000 f5010000 14000000 f5010000 14000000 f5010000 14000000 00000000"  # ppid 42, uid 501, …
    "6e6f6465000000000000000000000000"  # comm: node
    "6e6f64652d6c6f6e676572206e616d6500000000000000000000000000000000"  # name
    "07000000 d0040000 01000000 02000010 d2040000 00000000"  # nfiles, pgid 1232, …
    "80c9686a00000000 40e2010000000000"  # the start
)


def test_each_field_is_found_where_the_kernel_puts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Golden(darwin.Library):
        def _pidinfo(self, pid: int, flavor: int, arg: int, buffer: object, size: int) -> int:
            assert (pid, flavor, arg, size) == (1234, 3, 1, 136)
            ctypes.memmove(buffer, GOLDEN, 136)  # type: ignore[arg-type]
            return 136

    monkeypatch.setattr(libproc, "LIBRARY", [Golden()])

    entry = libproc.Entry(1234)

    assert (entry.parent, entry.group, entry.state) == (42, 1232, "T")
    assert entry.name == "node-longer name"
    assert entry.started == 1785252224_123456


def test_the_environment_begins_behind_as_many_words_as_there_are_arguments() -> None:
    data = b"\x03\0\0\0/usr/local/bin/node\0\0\0\0\0node\0\0-e\0A=1\0B=x=y\0\0executable_path=/n\0"
    assert libproc.environment(data) == [b"A=1", b"B=x=y"]
    assert libproc.environment(b"\x01\0\0\0/bin/sleep\0\0\0\0sleep\0\0") == []
    assert libproc.environment(b"") == []


# ---- the table


def test_a_process_is_told_as_the_system_tells_of_it(library: darwin.Library) -> None:
    theirs = _os.process(os.getpid())
    ours = libproc.Entry(os.getpid())
    assert theirs is not None
    assert (ours.parent, ours.group, ours.session) == (theirs.parent, theirs.group, theirs.session)
    assert ours.started == theirs.started
    assert libproc.boot_id() == _os.boot_id()


def test_the_whole_table_is_read_however_long_it_is(
    library: darwin.Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libproc, "FIRST_ROOM", 1)
    assert {os.getpid(), os.getppid(), 1} <= set(libproc.pids())


def test_a_process_that_is_gone_is_said_to_be(library: darwin.Library) -> None:
    with pytest.raises(ProcessLookupError):
        libproc.Entry(2**22 + 1)


def test_a_zombie_is_one(library: darwin.Library, start: Start) -> None:
    process = start()
    process.kill()
    until(lambda: darwin.stat(process.pid)[1][0] == "Z", "its end")
    assert libproc.Entry(process.pid).state == "Z"


def test_of_somebody_elses_process_no_start_is_told(library: darwin.Library, start: Start) -> None:
    process = start()
    library.foreign.add(process.pid)
    entry = libproc.Entry(process.pid)
    assert (entry.started, entry.parent, entry.name) == (0, os.getpid(), "sleep")


# ---- whose it is


def pids(lineage: Lineage, keeper: int) -> list[int]:
    return [entry.pid for entry in lineage.living(keeper)]


def test_a_child_and_its_session_belong_to_the_tree(library: darwin.Library, start: Start) -> None:
    program = start(session=True)
    lineage = Lineage()
    lineage.expect(program.pid, b"")
    assert pids(lineage, -1) == [program.pid]  # an orphan of a keeper that is not its parent
    assert program.pid in pids(lineage, os.getpid())  # with whatever else the tests of before have left us


def test_a_daemonized_program_is_known_by_the_mark(library: darwin.Library, start: Start) -> None:
    marked, other = start({MARK: "/a"}, session=True), start({MARK: "/ab"}, session=True)
    lineage = Lineage()
    lineage.expect(2**22 + 1, f"{MARK}=/a".encode())
    assert pids(lineage, -1) == [marked.pid]
    assert other.poll() is None


def test_one_whose_environment_is_hidden_is_known_by_who_started_it(
    library: darwin.Library, start: Start
) -> None:
    """`p_puniqueid` stays what it was when the parent is gone and launchd has taken its place."""
    program, escaped = start(session=True), start({MARK: "/a"}, session=True)
    library.protected.add("sleep")
    library.starters[escaped.pid] = program.pid
    lineage = Lineage()
    lineage.expect(program.pid, f"{MARK}=/a".encode())
    program.kill()
    program.wait()
    assert pids(lineage, -1) == [escaped.pid]


def test_a_kernel_that_tells_no_unique_numbers_is_lived_with(library: darwin.Library, start: Start) -> None:
    library.tells_unique = False
    program = start({MARK: "/a"}, session=True)
    lineage = Lineage()
    lineage.expect(2**22 + 1, f"{MARK}=/a".encode())
    assert pids(lineage, -1) == [program.pid]


def test_a_stranger_with_the_number_of_an_ended_session_is_left_alone(
    library: darwin.Library, start: Start
) -> None:
    program = start(session=True)
    library.tells_unique = False
    lineage = Lineage()
    lineage.expect(program.pid, b"")
    library.foreign.add(program.pid)
    program.kill()
    program.wait()
    assert pids(lineage, -1) == []

    assert program.pid not in lineage.sessions


def test_a_process_that_stays_a_stranger_is_asked_for_its_environment_once(
    library: darwin.Library, start: Start
) -> None:
    start({"A": "1"}, session=True)
    lineage = Lineage()
    lineage.expect(2**22 + 1, b"X=y")
    lineage.living(-1)
    before = len(lineage.strangers)
    library.sysctl = darwin.Function(lambda *_: pytest.fail("asked again"))
    known = {(entry.pid, entry.started) for entry in libproc.everyone()} & lineage.strangers
    for entry in libproc.everyone():
        if (entry.pid, entry.started) in known:
            assert not lineage.is_marked(entry)
    assert before > 0


async def test_a_stop_ends_what_has_left_the_session_and_hides_its_environment(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mu-", dir="/tmp") as folder:
        keepers = Keepers(f"{folder}/cache")
        keepers._program = darwin_bundle(Path(folder), "sleep")
        spawner = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache", keepers=keepers)
        argv = ("/bin/sh", "-c", "setsid sleep 1000 & echo $!; wait")
        launch = Launch("ag-0123456789ab", argv, {"PATH": os.environ["PATH"]}, "/", stdin=Stdin())
        session = await spawner.spawn(launch)
        output = session.output(follow=True)
        piece = await anext(output)
        await output.aclose()
        assert isinstance(piece, Chunk)
        escaped = int(piece.data)
        until(lambda: darwin.stat(escaped)[1][3] == str(escaped), "its session")

        ended = await session.stop()
        await session.detach()

        assert not is_running(escaped)
        assert f"{escaped} sleep" in ended.leftovers


# ---- the daemon's side, and a keeper beside it, in a process that believes it is on a Mac


def test_the_exit_of_any_process_is_told() -> None:
    on_a_mac("""
async def main():
    child = subprocess.Popen(["/bin/sleep", "1000"])
    told = asyncio.Event()
    _os.on_exit(child.pid, told.set)
    found = _os.process(child.pid)
    assert not told.is_set() and _os.send_signal(found, signal.SIGKILL)
    await asyncio.wait_for(told.wait(), 20)
    assert _os.process(child.pid).zombie
    late = asyncio.Event()
    _os.on_exit(child.pid, late.set)
    await asyncio.wait_for(late.wait(), 20)
    child.wait()
    assert not _os.send_signal(found, signal.SIGKILL)
asyncio.run(main())
""")


def test_a_service_without_an_environment_gets_that_of_a_session() -> None:
    home = on_a_mac("""
import pwd
given = _os.session_variables()
assert given["HOME"] == pwd.getpwuid(os.getuid()).pw_dir and given["SHELL"] and given["USER"]
from orchestrator.loginshell import login_environment
from spawners.providers.registry import BUILTIN
async def main():
    poor = {"PATH": "/usr/bin:/bin"}
    for own, ctype in ((poor, "en_US.UTF-8"), ({**poor, "LANG": "C.UTF-8"}, None)):
        login = await login_environment(BUILTIN, "/bin/sh", own=own)
        assert login.env.get("LC_CTYPE") == ctype, login.env
    print(login.env["HOME"], login.env["USER"])
asyncio.run(main())
""")
    assert home.split()[0].startswith("/")


def test_keeper_and_daemon_say_the_same_of_a_process() -> None:
    """And the daemon finds the program again, and ends it, when its keeper is gone."""
    on_a_mac("""
from darwin_keeper import darwin_bundle
from spawners import keeper_program
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.errors import SessionLost
from spawners.launch import Launch, Stdin
from spawners.tree import is_alive
assert {"libproc", "lineage"} < set(keeper_program.MODULES)

async def main(folder):
    keepers = Keepers(f"{folder}/cache", zygote=True)
    keepers._program = darwin_bundle(Path(folder))
    spawner = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache", keepers=keepers)
    launch = Launch("ag-0123456789ab", ("/bin/sleep", "1000"), {"PATH": "/bin"}, "/", stdin=Stdin())
    session = await spawner.spawn(launch)
    assert session.identity.started == _os.process(session.identity.pid).started
    assert is_alive(session.identity)
    keeper = _os.process(_os.process(session.identity.pid).parent)
    await session.detach()
    _os.send_signal(keeper, signal.SIGKILL)
    try:
        session = await spawner.reattach(session.ref)
        await session.wait()
    except SessionLost as lost:
        assert lost.ended_pids == (session.identity.pid,), lost
    assert not is_alive(session.identity)

with tempfile.TemporaryDirectory(dir="/tmp") as folder:
    asyncio.run(main(folder))
""")


def test_open_files_are_asked_for_until_they_are_given() -> None:
    given = on_a_mac("""
import resource
asked = []
def refuse(kind, limits):
    asked.append(limits[0])
    if limits[0] > 10240:
        raise ValueError("current limit exceeds maximum limit")
resource.getrlimit = lambda kind: (256, resource.RLIM_INFINITY)
resource.setrlimit = refuse
assert _os.raise_file_limit() == (256, resource.RLIM_INFINITY)
print(asked[-1])
""")
    assert 256 < int(given) <= 10240
