"""What only a keeper promises: patience, a verdict on a full disk, quiet when nothing happens."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until
from spawner_fixtures import also_as_on_a_mac

from spawners import frames, keeper_program
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.errors import SpawnFailed
from spawners.frames import Decoder, Kind
from spawners.keeper_program import compiled_keeper
from spawners.keeper_session import KeeperSession
from spawners.launch import Chunk, Gap, Launch, SessionRef, Size, Stdin

Scripted = Callable[..., Launch]


def child_json(ref: SessionRef) -> dict[str, object]:
    value = json.loads(Path(ref.directory, "child.json").read_text())
    assert isinstance(value, dict)
    return value


def keeper_pid(ref: SessionRef) -> int:
    return int(str(child_json(ref)["keeperPid"]))


async def first_lines(session: KeeperSession, count: int) -> list[str]:
    seen = b""
    async for piece in session.output(follow=True):
        assert isinstance(piece, Chunk)
        seen += piece.data
        if seen.count(b"\n") >= count:
            break
    return seen.decode().splitlines()


def connect(ref: SessionRef) -> socket.socket:
    """A viewer of its own, below every client code."""
    path = json.loads(Path(ref.directory, "spec.json").read_text())["socket"]
    viewer = socket.socket(socket.AF_UNIX)
    viewer.connect(path)
    viewer.settimeout(60)
    return viewer


def receive(viewer: socket.socket, kind: Kind) -> bytes:
    """The payload of the next frame of this kind; fails if the keeper hangs up."""
    decoder = Decoder()
    while data := viewer.recv(65536):
        for found, payload in decoder.feed(data):
            if found == kind:
                return payload
    raise AssertionError(f"the keeper hung up before {kind.name}")


# ---- quiet


@pytest.mark.needs("linux")
async def test_a_keeper_sleeps_without_end_when_nothing_happens(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    """Read from the kernel: the timeout it sleeps with is -1, so nothing but an event can wake it."""
    session = await spawner.spawn(scripted("print:up", "sleep"))
    await first_lines(session, 1)
    await session.live_members()
    calls = Path(f"/proc/{keeper_pid(session.ref)}/syscall")
    until(lambda: calls.read_text().split()[0] == "7", "poll(2)")

    assert calls.read_text().split()[3] in ("0xffffffffffffffff", "0xffffffff")


@pytest.mark.needs("linux")
async def test_a_program_that_closed_its_ends_does_not_keep_the_keeper_busy(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    argv = ("sh", "-c", "echo up; exec sleep 100 <&- >&- 2>&-")
    session = await spawner.spawn(scripted(argv=argv, stdin=Stdin(live=True)))
    async for _ in session.output(follow=True):  # ends with the output, though the program lives
        pass
    await session.live_members()
    assert is_running(session.identity.pid)
    calls = Path(f"/proc/{keeper_pid(session.ref)}/syscall")

    until(
        lambda: calls.read_text().split()[:1] == ["7"] and calls.read_text().split()[3].endswith("ffffffff"),
        "poll",
    )


def test_the_keeper_imports_nothing_written_in_python(tmp_path: Path) -> None:
    """Each module of the library that is not C costs every keeper time and memory."""
    code = (
        "import marshal, sys; before = set(sys.modules); sys.argv = ['keeper']\n"
        f"bundle = marshal.loads(open({compiled_keeper(str(tmp_path))!r}, 'rb').read()[16:])\n"
        "try: exec(bundle)\n"
        "except IndexError: pass  # it was not told what to keep\n"
        "print([n for n in set(sys.modules) - before if (getattr(sys.modules[n], '__file__', '') or '')"
        ".endswith('.py')], 'spawners.keeper.program' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", code], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == "[] True"


@pytest.mark.needs("linux")
async def test_where_no_bundle_can_be_written_the_keeper_runs_from_its_source(
    scripted: Scripted,
) -> None:
    folder = tempfile.mkdtemp(prefix="mu-", dir="/tmp")
    made = KeeperSpawner(f"{folder}/a", f"{folder}/s", "/proc/self")  # not even root makes a file there
    session = await made.spawn(scripted("print:up", "exit:3"))
    assert (await session.wait()).code == 3
    assert compiled_keeper("/proc/self").endswith("/spawners/keeper/__main__.py")
    await session.detach()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.needs("linux")
def test_every_module_of_the_keeper_is_in_its_bundle() -> None:
    folder = Path(keeper_program.__file__).with_name("keeper")
    there = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    windows = {f"windows.{path.stem}" for path in folder.glob("windows/*.py")} - {"windows.__init__"}
    of_macos = {"libproc", "lineage"}
    assert there == {*keeper_program.POSIX_MODULES, *of_macos}
    assert not of_macos & set(keeper_program.MODULES), "a keeper on Linux has no room for them"
    assert windows < set(keeper_program.WINDOWS_MODULES) <= there | windows
    assert len(set(keeper_program.WINDOWS_MODULES)) == len(keeper_program.WINDOWS_MODULES)


# ---- patience


async def test_garbage_costs_only_the_one_who_sends_it(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("print:up", "sleep"))
    garbage = [
        b"\xff" * 64,
        frames.encode(Kind.STOP, b"{"),
        frames.encode(Kind.WAIT, b"x"),
        frames.encode(Kind.STOP),
    ]
    for data in [
        *garbage,
        b"GET / HTTP/1.1\r\n\r\n",
        frames.encode_json(Kind.SIGNAL, {"id": 1, "number": "9"}),
    ]:
        with connect(session.ref) as viewer:
            viewer.sendall(data)
            while await asyncio.to_thread(viewer.recv, 65536):
                pass  # HELLO, then the end
    with connect(session.ref) as viewer:
        viewer.sendall(frames.encode_json(Kind.STATUS, {"id": 5}).replace(b"\x20{", b"\x3f{"))
        refusal = json.loads(await asyncio.to_thread(receive, viewer, Kind.REFUSED))

    assert (refusal["id"], refusal["code"]) == (5, "unsupported")
    assert [member.pid for member in await session.live_members()] == [session.identity.pid]


async def test_a_viewer_that_never_reads_stalls_nobody(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    session = await spawner.spawn(scripted(f"await:{tmp_path / 'go'}", "bytes:20000000"))
    viewer = connect(session.ref)
    viewer.settimeout(0.5)
    asked = frames.encode_json(Kind.STATUS, {"id": 1}) * 1000
    with viewer, pytest.raises(OSError):  # dropped, or our own send buffer is full
        for _ in range(200):
            await asyncio.to_thread(viewer.sendall, asked)
    await asyncio.to_thread((tmp_path / "go").write_text, "go")

    assert (await session.wait()).spool_end == 20_000_000


async def test_a_hundred_connections_do_not_hurt(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("sleep"))
    viewers = [connect(session.ref) for _ in range(100)]
    try:
        assert len(await session.live_members()) == 1
    finally:
        for viewer in viewers:
            viewer.close()
    again = await spawner.reattach(
        session.ref
    )  # tries again while the keeper is still hanging up on the many
    assert again.identity == session.identity


async def test_a_kept_leftover_that_never_stops_writing_holds_no_verdict_up(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    launch = scripted(argv=("sh", "-c", "yes & exit 3"), leftovers="keep", spool_bytes=1 << 20)
    session = await spawner.spawn(launch)
    assert (await session.wait()).code == 3
    await session.stop(interrupt_s=0, terminate_s=0)

    assert await session.live_members() == ()


# ---- signals to the keeper itself


async def test_a_keeper_ignores_hangup_and_interrupt_and_records_a_shutdown(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("setsid-child", "sleep"))
    child = int((await first_lines(session, 1))[0].removeprefix("child "))
    keeper = keeper_pid(session.ref)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        os.kill(keeper, number)
    assert len(await session.live_members()) == 2
    os.kill(keeper, signal.SIGTERM)
    ended = await session.wait()

    assert (ended.ended_by, is_running(child)) == ("shutdown", False)


@also_as_on_a_mac
async def test_the_agent_holds_neither_the_lock_nor_the_line(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("quiet-child", "exit:0", leftovers="keep"))
    child = int((await first_lines(session, 1))[0].removeprefix("child "))
    try:
        await session.wait()
        again = await spawner.reattach(session.ref)  # would wait for the lock for ever
        assert (await again.wait()).code == 0
        opened = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
        assert set(opened) == {"/dev/null"}
    finally:
        os.kill(child, signal.SIGKILL)


# ---- early refusals


async def test_a_socket_path_that_is_too_long_is_refused_early(tmp_path: Path, scripted: Scripted) -> None:
    made = KeeperSpawner(str(tmp_path / "a"), str(tmp_path / ("s" * 120)), str(tmp_path / "c"))
    with pytest.raises(SpawnFailed, match="shorter"):
        await made.spawn(scripted("sleep"))
    assert made.refs() == []


@pytest.mark.parametrize("size", [Size(0, 80), Size(24, 1001)])
async def test_an_impossible_size_is_refused_early(
    spawner: KeeperSpawner, scripted: Scripted, size: Size
) -> None:
    with pytest.raises(SpawnFailed, match="1 to 1000"):
        await spawner.spawn(scripted("sleep", size=size))


async def test_what_lies_on_disk_is_only_its_owners_to_read(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("print:x", "sleep", stdin=Stdin(b"secret")))
    await first_lines(session, 1)
    folder = Path(session.ref.directory)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {
        file.name: file.stat().st_mode & 0o077 for file in folder.iterdir() if file.stat().st_mode & 0o077
    } == {}
    assert Path(json.loads((folder / "spec.json").read_text())["socket"]).stat().st_mode & 0o077 == 0
    assert (folder / "keeper.log").read_bytes() == b""


# ---- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.fixture
async def cramped(small_disk: Path, tmp_path: Path) -> AsyncIterator[KeeperSpawner]:
    """A spawner whose agents live on that file system; a socket's path must be short wherever that is."""
    with tempfile.TemporaryDirectory(prefix="mu-", dir="/tmp") as sockets:
        made = KeeperSpawner(str(small_disk / "a"), sockets, str(tmp_path / "c"))
        yield made
        for ref in made.refs():
            session = await made.reattach(ref)
            await session.stop(interrupt_s=0, terminate_s=0)


@pytest.mark.needs("root", "linux")
async def test_a_full_disk_loses_output_but_neither_the_agent_nor_its_verdict(
    cramped: KeeperSpawner, small_disk: Path, scripted: Scripted, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    session = await cramped.spawn(
        scripted("bytes:5000000", "print:full", f"await:{tmp_path / 'go'}", "exit:3")
    )
    pieces: list[Chunk | Gap] = []
    async for piece in session.output(follow=True):
        pieces.append(piece)
        if piece.end >= 5_000_005:
            break
    (small_disk / "filler").write_bytes(
        b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize)
    )
    await asyncio.to_thread((tmp_path / "go").write_text, "go")
    ended = await session.wait()

    assert ended.code == 3
    assert ended.spool_end == 5_000_005
    assert ended.dropped > 3_500_000
    assert sum(p.end - p.offset for p in pieces if isinstance(p, Gap)) == ended.dropped
    assert json.loads(Path(session.ref.directory, "exit.json").read_text())["code"] == 3
    assert await (await cramped.reattach(session.ref)).wait() == ended


@pytest.mark.needs("root", "linux")
async def test_output_goes_on_once_there_is_space_again(
    cramped: KeeperSpawner, small_disk: Path, scripted: Scripted, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    session = await cramped.spawn(scripted("print:one", "cat", stdin=Stdin(live=True)))
    assert await first_lines(session, 1) == ["one"]
    filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    await session.write(b"y" * 100_000)
    seen = [p async for p in until_end(session, 100_004)]
    assert isinstance(seen[-1], Gap)
    filler.unlink()
    while isinstance(seen[-1], Gap):  # writing is tried again every 250 ms
        await session.write(b"z" * 10)
        seen += [p async for p in until_end(session, seen[-1].end + 10, seen[-1].end)]
    await session.close_stdin()
    ended = await session.wait()

    assert ended.dropped >= 90_000
    assert isinstance(seen[-1], Chunk)
    assert seen[-1].data.endswith(b"z" * 10)


async def until_end(session: KeeperSession, end: int, offset: int = 0) -> AsyncIterator[Chunk | Gap]:
    """The output from `offset` to `end`."""
    async for piece in session.output(offset, follow=True):
        yield piece
        if piece.end >= end:
            return


@pytest.mark.needs("root", "linux")
async def test_no_agent_is_started_where_its_verdict_would_have_no_space(
    cramped: KeeperSpawner, small_disk: Path, scripted: Scripted
) -> None:
    (small_disk / "filler").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail - 1) * 4096)
    with pytest.raises(SpawnFailed, match="space"):
        await cramped.spawn(scripted("sleep"))
    assert cramped.refs() == []


@pytest.mark.needs("root", "linux")
async def test_a_record_that_cannot_be_written_is_served_until_it_is_forgotten(
    cramped: KeeperSpawner, small_disk: Path, scripted: Scripted
) -> None:
    session = await cramped.spawn(scripted("print:up", "sleep"))
    await first_lines(session, 1)
    blocked = Path(session.ref.directory, "exit.json")
    blocked.mkdir()  # no rename onto a directory: the record has nowhere to go
    ended = await session.stop(interrupt_s=0)
    again = await cramped.reattach(session.ref)

    assert await again.wait() == ended
    await cramped.forget(session.ref)
    assert cramped.refs() == []


# ---- out of memory


MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup (v1) of 64 MiB below our own."""
    own = [
        line.split(":")[2]
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if ":memory:" in line
    ]
    if not own:
        pytest.skip("no memory cgroup of version 1")
    folder = Path(f"{MEMORY}{own[0]}/muster-test-{os.getpid()}")
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(64 << 20))
    try:
        yield folder
    finally:
        until(lambda: not (folder / "cgroup.procs").read_text().split(), "the cgroup to be empty")
        folder.rmdir()


async def spawn_inside(spawner: KeeperSpawner, cgroup: Path, launch: Launch) -> KeeperSession:
    """Spawn with the keeper born in `cgroup`: we step in for as long as that takes."""
    home = Path(cgroup.parent)
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    try:
        session = await spawner.spawn(launch)
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))
    return session


@pytest.mark.needs("root", "cgroup", "linux")
async def test_out_of_memory_is_told_from_a_plain_kill_by_the_kernels_own_word(
    spawner: KeeperSpawner, scripted: Scripted, cgroup: Path, keepers: Keepers
) -> None:
    if keepers.zygote_pid is not None:
        pytest.skip("a forked keeper is born where its zygote is")
    ended = await (await spawn_inside(spawner, cgroup, scripted("print:up", "memory:500"))).wait()
    assert ended.signal == signal.SIGKILL
    assert "Killed process" in ended.oom or "oom_kill" in ended.oom + ended.note, ended

    session = await spawn_inside(spawner, cgroup, scripted("sleep"))
    os.kill(session.identity.pid, signal.SIGKILL)
    killed = await session.wait()
    assert (killed.signal, killed.oom, killed.note) == (signal.SIGKILL, "", "")


@pytest.mark.needs("root", "cgroup", "linux")
def test_the_counter_of_a_cgroup_of_its_own_is_evidence_where_the_kernel_log_is_silent(cgroup: Path) -> None:
    code = (
        "import os, sys; open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()));"
        "from spawners.keeper import memory as keeper; keeper.kernel_log = lambda *_: '';"
        "memory = keeper.MemoryEvidence(); other = memory.verdict(1, 0);"
        "pid = os.posix_spawn(sys.argv[2], sys.argv[2:], {}); status = os.waitpid(pid, 0)[1];"
        "print([status, other, memory.verdict(pid, 0)])"
    )
    argv = [sys.executable, "-c", code, str(cgroup), *agent_argv("memory:500")]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    fact = f"oom_kill of {cgroup} rose by 1, which holds only this agent"
    assert eval(told) == [signal.SIGKILL, ("", ""), (fact, "")]


@pytest.mark.needs("linux")
def test_a_complaint_that_the_disk_has_no_space_for_is_no_reason_to_end() -> None:
    code = "from spawners.keeper.system import complain; complain('request: x'); print('goes on')"
    with open("/dev/full", "wb") as log:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, check=True)
    assert done.stdout == b"goes on\n"
