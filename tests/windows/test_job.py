"""What only a keeper of Windows promises of an agent's processes: its job, its lock, what it executes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keeper_peer import Peer, keeper_of, seen
from muster_processes import PYTHON, is_running, until

from spawners import _os
from spawners._os.loopback import read_address
from spawners.client import KeeperSpawner
from spawners.errors import SessionLost, SpawnerError, SpawnFailed
from spawners.keeper.wire import MAX_CONNECTIONS
from spawners.launch import Chunk, Launch
from spawners.session import Session
from spawners.tree import PLACE

Scripted = Callable[..., Launch]
pytestmark = pytest.mark.needs("windows")

if sys.platform == "win32":
    from spawners.keeper.windows import api
    from spawners.keeper.windows.execute import NotStarted, command_line, find
    from spawners.keeper.windows.job import job_name


async def first_line(session: Session) -> str:
    text = b""
    async for piece in session.output(follow=True):
        text += piece.data if isinstance(piece, Chunk) else b""
        if b"\n" in text:
            break
    return text.decode().splitlines()[0]


def start(words: list[str], **fields: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, **fields)


# ---- who lives how long


async def test_a_killed_keeper_takes_its_agent_along_and_that_is_the_verdict(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("daemon-child", "sleep"))
    child = int((await first_line(session)).removeprefix("child "))
    await session.detach()

    os.kill(keeper_of(session.ref), 9)

    until(lambda: not is_running(child) and not is_running(session.identity.pid), "the job to end")
    with pytest.raises(SessionLost) as lost:
        await spawner.reattach(session.ref)
    assert lost.value.kind == "keeper_killed"


async def test_an_agent_outlives_the_daemon_that_was_killed(spawner: KeeperSpawner, tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "fakes" / "spawning.py"
    env = {**os.environ, "MUSTER_TEST_KEEPERS": "executed", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, str(program), str(tmp_path), "ag-1", "print:up", "sleep"]
    daemon = start(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert daemon.stdout is not None
    pid = int(await asyncio.to_thread(daemon.stdout.readline))

    daemon.kill()
    daemon.wait()
    daemon.stdout.close()

    later = KeeperSpawner(f"{tmp_path}/agents", f"{tmp_path}/s", f"{tmp_path}/cache")
    session = await later.reattach(later.ref("ag-1"))
    assert session.identity.pid == pid
    assert session.identity.boot_id == _os.boot_id()
    ended = await session.stop(interrupt_s=0, terminate_s=0)
    assert (ended.ended_by, is_running(pid)) == ("stop", False)


async def test_the_processes_of_an_agent_are_known_by_its_job(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("setsid-child", "sleep"))
    child = int((await first_line(session)).removeprefix("child "))
    mark = f"{PLACE}={session.ref.directory}"

    assert [_os.has_mark(pid, mark) for pid in (session.identity.pid, child)] == [True, True]
    assert not _os.has_mark(os.getpid(), mark)
    assert not _os.has_mark(child, mark + "x")


async def test_all_processes_of_a_job_are_told_where_more_live_than_were_expected(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("start-child", "sleep"))
    child = int((await first_line(session)).removeprefix("child "))
    job = api.open_job(4, False, job_name(session.ref.directory))  # JOB_OBJECT_QUERY

    assert {session.identity.pid, child} <= set(api.process_ids(job, 1)) == set(api.process_ids(job))
    api.close_handle(job)


async def test_a_signal_is_heard_or_it_is_said_that_it_could_not_be_sent(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("print:up", "sleep"))
    await first_line(session)
    try:
        await session.signal(signal.SIGINT)
    except SpawnerError:  # wine sends none
        assert (await session.live_members())[0] == session.identity
    else:
        async with asyncio.timeout(20):
            assert (await session.wait()).code != 0


def test_a_process_is_not_ended_in_place_of_an_earlier_one_of_its_number() -> None:
    with subprocess.Popen([PYTHON, "-I", "-S", "-c", "import time; time.sleep(60)"]) as child:
        found = _os.process(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        earlier = _os.Process(child.pid, 0, 0, 0, found.started - 1, found.name)

        assert not _os.send_signal(earlier, 9)
        assert is_running(child.pid)
        assert _os.send_signal(found, 9)


async def test_the_end_of_a_process_is_heard_once() -> None:
    heard: list[int] = []
    done = asyncio.Event()
    child = start([PYTHON, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    _os.on_exit(child.pid, lambda: (heard.append(child.pid), done.set())[0])
    assert heard == []
    assert child.stdin is not None
    child.stdin.close()

    async with asyncio.timeout(30):
        await done.wait()
    assert heard == [child.pid]
    child.wait()


def test_a_lock_is_held_by_whoever_inherited_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = _os.lock_new(path)
    with pytest.raises(BlockingIOError):
        _os.lock_new(path)
    number = _os.number_of(lock)
    os.set_handle_inheritable(number, True)  # type: ignore[attr-defined, unused-ignore]
    start = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})  # type: ignore[attr-defined, unused-ignore]
    child = subprocess.Popen([PYTHON, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE, startupinfo=start)
    os.close(lock)

    assert _os.is_locked(path)
    child.kill()
    child.wait()
    until(lambda: not _os.is_locked(path), "the lock to be free")


def test_a_lock_is_taken_although_somebody_looks_whether_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    looking = path.open()
    leaving = threading.Timer(0.02, looking.close)
    leaving.start()

    os.close(_os.lock_new(str(path)))
    assert looking.closed
    leaving.join()


# ---- who may ask


async def test_who_does_not_show_the_token_is_told_nothing(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    address = json.loads(Path(session.ref.directory, "spec.json").read_text())["socket"]
    port, token = read_address(address)
    wrong = token[:-2] + (b"0" if token[-2:-1] != b"0" else b"1") + b"\n"

    with socket.create_connection(("127.0.0.1", port), 60) as stranger:
        stranger.sendall(wrong)
        assert stranger.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), 60) as slow:
        slow.sendall(token[:10])
        assert (await session.live_members())[0] == session.identity  # it has been heard by now
        slow.sendall(token[10:])
        assert slow.recv(100) != b""
    with Peer(session.ref) as peer:
        assert peer.hello["pid"] == session.identity.pid


async def test_strangers_do_not_keep_out_who_has_the_token(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    port, _ = read_address(json.loads(Path(session.ref.directory, "spec.json").read_text())["socket"])
    with contextlib.ExitStack() as strangers:
        for _ in range(MAX_CONNECTIONS):
            strangers.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        with Peer(session.ref) as peer:
            assert peer.hello["pid"] == session.identity.pid
        assert (await session.live_members())[0] == session.identity


async def test_nobody_can_delete_the_address_of_a_living_keeper(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    address = json.loads(Path(session.ref.directory, "spec.json").read_text())["socket"]
    with pytest.raises(PermissionError):
        os.unlink(address)
    await session.stop(interrupt_s=0, terminate_s=0)
    until(lambda: not os.path.exists(address), "the keeper to leave")


# ---- what is executed


@pytest.mark.parametrize("name", ["tool.bat", "TOOL.BAT", "tool"])
async def test_a_batch_file_gets_arguments_that_cmd_has_nothing_to_do_with(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, name: str
) -> None:
    (tmp_path / "tool.bat").write_text("@echo got %1 %2\r\n@exit /b 4\r\n")
    path = {"PATH": str(tmp_path), "SYSTEMROOT": os.environ["SYSTEMROOT"]}
    session = await spawner.spawn(scripted(argv=(name, "a-b", "c d"), env=path))

    assert b'got a-b "c d"' in await seen(session)
    assert (await session.wait()).code == 4


@pytest.mark.parametrize("bad", ['"&echo INJ', "%OS%", "a\nb", "x^y", "a|b", "!x!", ">f"])
async def test_a_batch_file_is_never_given_what_cmd_would_carry_out(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, bad: str
) -> None:
    (tmp_path / "tool.cmd").write_text("@echo %*\r\n")
    for name in ("tool.cmd", "tool.CMD ", "tool.cmd.", "tool"):
        launch = scripted(argv=(str(tmp_path / name), bad))
        with pytest.raises(SpawnFailed) as refused:
            await spawner.spawn(launch)
        assert refused.value.errno in (errno.EINVAL, errno.ENOENT)
    assert spawner.refs() == []


async def test_arguments_reach_a_program_as_they_are(spawner: KeeperSpawner, scripted: Scripted) -> None:
    words = ["a b", 'q"u\\"o', "", "%PATH%", "$HOME;x", "&|<>^", "back\\", "a\\\\ b\\", "é€😀", "new\nline"]
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    session = await spawner.spawn(scripted(argv=(PYTHON, "-I", "-S", "-c", code, *words)))

    assert json.loads(await seen(session)) == words


async def test_variables_reach_a_program_as_they_are(spawner: KeeperSpawner, scripted: Scripted) -> None:
    code = "import os; print(ascii(os.environ['ODD']))"
    env = {"ODD": "a=b;%X% é€😀", "SYSTEMROOT": os.environ["SYSTEMROOT"]}
    session = await spawner.spawn(scripted(argv=(PYTHON, "-I", "-S", "-c", code), env=env))

    assert (await seen(session)).decode().strip() == ascii(env["ODD"])


def test_an_empty_place_in_path_is_not_the_folder_in_which_an_agent_works(tmp_path: Path) -> None:
    (tmp_path / "tool.exe").write_text("")
    with pytest.raises(NotStarted, match="PATH"):
        find("tool", {"PATH": ";C:\\nowhere;"}, str(tmp_path))
    assert Path(find("tool", {"PATH": ";.;"}, str(tmp_path))[0]) == tmp_path / "tool.exe"


def test_a_command_line_is_measured_in_what_windows_counts() -> None:
    with pytest.raises(NotStarted) as refused:
        command_line(PYTHON, [PYTHON, "😀" * 17_000])
    assert refused.value.args[0] == errno.E2BIG
    assert command_line(PYTHON, [PYTHON, "é" * 30_000])


async def test_a_crash_is_told_in_words(spawner: KeeperSpawner, scripted: Scripted) -> None:
    code = "import ctypes; ctypes.WinDLL('kernel32').ExitProcess(0xC0000005)"
    ended = await (await spawner.spawn(scripted(argv=(PYTHON, "-I", "-S", "-c", code)))).wait()

    assert (ended.code, ended.signal) == (0xC0000005, None)
    assert ended.note == "access violation (0xC0000005)"
