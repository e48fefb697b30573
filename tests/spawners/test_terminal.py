"""A program in its keeper's terminal: job control, hang-ups, endings, keys that nobody reads."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from keeper_peer import Peer, keeper_of, seen, seen_until
from muster_processes import agent_argv, is_running, until
from spawner_fixtures import also_as_on_a_mac

from spawners.client import KeeperSpawner
from spawners.errors import SpawnFailed
from spawners.keeper import protocol
from spawners.keeper import terminal as keeper
from spawners.keeper_session import KeeperSession
from spawners.launch import Chunk, Launch, Size
from spawners.sizes import Sizes, read_sizes

Scripted = Callable[..., Launch]
SHELL = ("bash", "--norc", "--noprofile", "-i")
PLAIN = {"PATH": os.environ["PATH"], "PS1": "$ ", "TERM": "dumb", "INPUTRC": "/dev/null", "HISTFILE": ""}


@pytest.fixture
async def shell(spawner: KeeperSpawner, scripted: Scripted) -> AsyncIterator[KeeperSession]:
    """An interactive bash that has shown its first prompt."""
    session = await spawner.spawn(scripted(argv=SHELL, env=PLAIN, size=Size()))
    await seen_until(session, b"$ ")
    yield session


# ---- job control


@pytest.mark.parametrize(("key", "status"), [(b"\x03", 130), (b"\x1c", 131)])
async def test_a_key_ends_a_shells_job_and_not_the_shell(
    shell: KeeperSession, key: bytes, status: int
) -> None:
    with Peer(shell.ref) as person:
        person.attach("ann", Size())
        person.type(" ".join(agent_argv("print:be.gun", "sleep")).encode() + b"\r")
        await seen_until(shell, b"be.gun\r\n")
        person.type(key)
        person.type(b"echo status''=$?\r")
        await seen_until(shell, b"status=%d\r\n" % status)


async def test_a_job_is_stopped_by_a_key_and_goes_on(shell: KeeperSession, scripted: Scripted) -> None:
    job = " ".join(agent_argv("say-cont", "print:be.gun", "sleep"))
    with Peer(shell.ref) as person:
        person.attach("ann", Size())
        person.type(job.encode() + b"\r")
        await seen_until(shell, b"be.gun\r\n")
        person.type(b"\x1a")
        await seen_until(shell, b"Stopped")
        person.type(b"fg\r")
        await seen_until(shell, b"cont\r\n")


# ---- hang-ups


async def test_a_program_may_close_its_terminal_for_a_while(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    steps = ("print:one", "close-tty", f"await:{fifo}", "open-tty", "print:two", "keys")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    await seen_until(session, b"one\r\n")
    await asyncio.to_thread(fifo.write_text, "go")
    await seen_until(session, b"two\r\n")
    await session.type(b"x\n")

    assert (await seen_until(session, b"keys 780a")).startswith(b"one\r\ntwo\r\nx\r\n")


@pytest.mark.parametrize("leftovers", ["end", "keep"])
async def test_a_child_that_keeps_the_terminal_open_holds_nothing_up(
    spawner: KeeperSpawner, scripted: Scripted, leftovers: str
) -> None:
    session = await spawner.spawn(
        scripted("start-child", "print:last", "exit:4", size=Size(), leftovers=leftovers)
    )
    ended = await asyncio.wait_for(session.wait(), 20)
    output = await seen(session, follow=False)
    child = int(output.split()[1])

    assert (ended.code, output) == (4, b"child %d\r\nlast\r\n" % child)
    assert is_running(child) == (leftovers == "keep")
    await session.stop(interrupt_s=0, terminate_s=0)
    assert not is_running(child)


async def test_a_program_that_cannot_be_executed_leaves_no_terminal(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    for wrong in ({"argv": ("no-such-program",)}, {"cwd": "/nonexistent"}):
        with pytest.raises(SpawnFailed):
            await spawner.spawn(scripted("sleep", size=Size(), **wrong))
    assert spawner.refs() == []


# ---- nothing is lost at the end


async def test_what_is_printed_right_before_the_exit_is_never_lost(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    async def one(number: int) -> None:
        launch = scripted(argv=("printf", "%04000d", str(number)), size=Size())
        session = await spawner.spawn(launch)
        assert await seen(session) == b"%04000d" % number
        await spawner.forget(session.ref)

    for first in range(0, 200, 10):
        await asyncio.gather(*(one(number) for number in range(first, first + 10)))


async def test_what_is_printed_while_the_keeper_is_stopped_is_not_lost_either(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted(f"await:{fifo}", "raw-mode", "line:8000", size=Size()))
    os.kill(keeper_of(session.ref), signal.SIGSTOP)
    await asyncio.to_thread(fifo.write_text, "go")
    until(lambda: not is_running(session.identity.pid), "the program's end")
    os.kill(keeper_of(session.ref), signal.SIGCONT)

    assert await seen(session) == b"x" * 7999 + b"\n"


# ---- stop, timeout, shutdown


@also_as_on_a_mac
async def test_a_shell_is_stopped_with_all_its_jobs_and_without_a_kill(
    shell: KeeperSession, tmp_path: Path
) -> None:
    await shell.type(b"sleep 1001 &\r")
    await shell.type(f"nohup sleep 1002 >{tmp_path}/out 2>&1 & echo no''hup=$!\r".encode())
    await seen_until(shell, b"nohup=")
    await shell.type(b"sleep 1003\r")
    while len(await shell.live_members()) < 4:
        pass
    pids = [member.pid for member in await shell.live_members()]
    ended = await shell.stop(interrupt_s=0.3, terminate_s=10)

    assert ended.stop is not None
    assert (ended.ended_by, ended.stop.stage, ended.stop.killed) == ("stop", "terminate", ())
    assert [pid for pid in pids if is_running(pid)] == []


async def test_a_program_that_ignores_everything_is_killed_in_its_terminal(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    steps = ("ignore-int", "ignore-term", "start-child", "group-child", "raw-mode", "print:up", "sleep")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    await seen_until(session, b"up")
    members = await session.live_members()
    ended = await session.stop(interrupt_s=0.05, terminate_s=0.05)

    assert ended.stop is not None
    assert len(members) == 3
    assert [member for member in members if is_running(member.pid)] == []


@pytest.mark.parametrize("reason", ["timeout", "shutdown"])
async def test_the_other_reasons_to_end_hold_in_a_terminal_too(
    spawner: KeeperSpawner, scripted: Scripted, reason: str
) -> None:
    limit = 0.3 if reason == "timeout" else None
    session = await spawner.spawn(scripted("print:up", "sleep", size=Size(), timeout_s=limit))
    await seen_until(session, b"up")
    if reason == "shutdown":
        os.kill(keeper_of(session.ref), signal.SIGTERM)
    ended = await session.wait()

    assert (ended.ended_by, ended.signal) == (reason, signal.SIGINT)


# ---- keys for a program that does not read


async def test_an_interrupt_gets_through_though_the_line_editor_is_full(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("say-int", "no-echo", "print:up", "sleep", size=Size()))
    await seen_until(session, b"up")
    with Peer(session.ref) as person:
        person.attach("ann", Size())
        person.type(b"line\r" * 1500)  # all of it in the kernel, which looks at no key behind it
        person.type(b"\x03")
        await seen_until(session, b"int\r\n")
    assert (await session.terminal()).unread == 0


async def test_an_interrupt_gets_through_though_a_megabyte_is_in_front(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("say-int", "cbreak", "print:up", "sleep", size=Size()))
    await seen_until(session, b"up")
    automatic = asyncio.ensure_future(session.type(b"x" * 500_000, timeout_s=60))
    while (await session.terminal()).unread == 0:
        pass
    with Peer(session.ref) as person:
        person.attach("ann", Size())
        person.keys(b"y" * 60_000)
        person.keys(b"\x03")
        await seen_until(session, b"int\r\n")
        assert person.answer()["written"] < 60_000  # their own keys in front of it are thrown away
        assert person.answer()["written"] == 1
    automatic.cancel()


async def test_control_c_is_a_byte_like_any_other_in_raw_mode(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    steps = ("say-int", "raw-mode", "print:up", f"await:{fifo}", "keys")
    session = await spawner.spawn(scripted(*steps, size=Size()))
    await seen_until(session, b"up")
    with Peer(session.ref) as person:
        person.attach("ann", Size())
        person.type(b"ab")
        person.type(b"\x03")
        await asyncio.to_thread(fifo.write_text, "go")
        told = await seen_until(session, b"03\n")  # by one read of the program, or by two
    assert told.replace(b"\nkeys ", b"") == b"up616203\n"


# ---- sizes on disk


def test_the_file_of_sizes_is_bounded_and_its_followers_miss_nothing(tmp_path: Path) -> None:
    terminal = keeper.Terminal(str(tmp_path), {"rows": 1, "columns": 1})
    follower, told = Sizes(str(tmp_path), 0), []
    for number in range(2, 60_000):
        terminal.resize(1 + number % 900, 1 + number // 900, number)
        if number % 10_000 == 0:
            told += follower.merged([Chunk(number - 1, protocol.PTY, b"x" * 3)])  # type: ignore[arg-type]
            assert (tmp_path / "sizes").stat().st_size <= keeper.SIZES_KEPT * keeper.SIZES.size
            assert read_sizes(str(tmp_path))[0].offset == 0
    terminal.close_slave()

    last = [item for item in told if not isinstance(item, Chunk)][-1]
    assert (last.offset, last.size) == (50_000, Size(1 + 50_000 % 900, 1 + 50_000 // 900))  # type: ignore[union-attr]
    offsets = [item.offset for item in told]
    assert offsets == sorted(offsets)
    assert not (tmp_path / "sizes.tmp").exists()


def test_a_size_that_found_no_space_does_not_shift_the_others(tmp_path: Path) -> None:
    code = (
        "import sys, resource as r; from spawners.keeper import terminal as keeper\n"
        "made = keeper.Terminal(sys.argv[1], {'rows': 1, 'columns': 1})\n"
        "for limit, size in ((30, 2), (r.RLIM_INFINITY, 3)):\n"
        "    r.setrlimit(r.RLIMIT_FSIZE, (limit, r.RLIM_INFINITY)); made.resize(size, size, size)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert [change.size for change in read_sizes(str(tmp_path))] == [Size(1, 1), Size(3, 3)]


# ---- systems on which a terminal has to be asked for


def test_a_forked_child_gets_the_terminal_too_or_says_why_not() -> None:
    """The way of macOS, in a process of its own: pytest has threads, which do not survive a fork."""
    code = (
        "import os, posix, sys; from spawners.keeper import execute as keeper\n"
        "master, slave = posix.openpty()\n"
        "def run(*argv, path=sys.executable):\n"
        "    return keeper.fork_in_terminal(path, list(argv), {}, posix.ttyname(slave))\n"
        "for wrong in ({'path': '/nonexistent'}, {'path': '/etc/passwd'}, {}):\n"
        "    try: print(run('x' if wrong else 'nul\\0', **wrong))\n"
        "    except OSError as error: print(error.errno)\n"
        "print(posix.waitpid(run(*sys.argv[1:]), 0)[1]); posix.set_blocking(master, False); said = b''\n"
        "try:\n"
        "    while True: said += posix.read(master, 9999)\n"
        "except BlockingIOError: print(said.split())\n"
        "try: posix.waitpid(-1, 0)\n"
        "except ChildProcessError: print('none left')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *agent_argv("tty", "fds")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert told[:4] == [str(errno.ENOENT), str(errno.EACCES), str(errno.EINVAL), "0"]
    assert "b'own', b'own', b'own', b'0'" in told[4]
    assert told[4].count("/dev/pts/") == 4
    assert told[5] == "none left"
