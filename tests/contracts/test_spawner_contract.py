"""What every `Spawner` and `Session` promises (the text of `spawners/session.py`), with real programs."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until
from spawner_fixtures import also_as_on_a_mac

from spawners.client import KeeperSpawner
from spawners.errors import SessionBusy, SessionEnded, SessionLost, SpawnerError, SpawnFailed
from spawners.launch import Chunk, Exit, Gap, Launch, Stdin, Stream
from spawners.session import Session

Scripted = Callable[..., Launch]
MIB = 1024 * 1024
WINDOWS = os.name == "nt"


def was_killed(ended: Exit) -> bool:
    """Windows has no signals: whoever ends a program chooses its exit code."""
    return ended.code == 1 if WINDOWS else ended.signal == signal.SIGKILL


async def everything(session: Session, *, follow: bool = True) -> bytes:
    """The whole output, which must come without a gap and without an overlap."""
    offset, parts = 0, []
    async for piece in session.output(follow=follow):
        assert isinstance(piece, Chunk), piece
        assert piece.offset == offset
        parts.append(piece.data)
        offset = piece.end
    return b"".join(parts)


async def lines(session: Session, count: int) -> list[str]:
    """The first `count` lines, as soon as they are there."""
    seen = b""
    async for piece in session.output(follow=True):
        assert isinstance(piece, Chunk)
        seen += piece.data
        if seen.count(b"\n") >= count:
            break
    return seen.decode().splitlines()[:count]


async def children(session: Session, count: int) -> list[int]:
    """The pids that the agent's `…-child` steps printed."""
    return [int(line.removeprefix("child ")) for line in await lines(session, count)]


# ---- verdicts


@pytest.mark.parametrize("code", [0, 1, 3, 255])
async def test_an_exit_code_is_reported_as_it_was(
    spawner: KeeperSpawner, scripted: Scripted, code: int
) -> None:
    ended = await (await spawner.spawn(scripted(f"exit:{code}"))).wait()

    assert (ended.code, ended.signal, ended.ended_by, ended.oom) == (code, None, None, "")
    assert 0 < ended.started_ms <= ended.at_ms


@pytest.mark.needs("posix")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGPIPE"])
async def test_a_signal_is_reported_as_that_signal(
    spawner: KeeperSpawner, scripted: Scripted, name: str
) -> None:
    number = getattr(signal, name)
    ended = await (await spawner.spawn(scripted(f"die:{int(number)}"))).wait()

    assert (ended.code, ended.signal, ended.ended_by, ended.oom) == (None, number, None, "")


@also_as_on_a_mac
async def test_the_same_exit_is_told_to_everyone_and_after_reattaching(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("print:x", "exit:7"))
    told = await asyncio.gather(session.wait(), session.wait())
    again = [await (await spawner.reattach(session.ref)).wait() for _ in range(2)]

    assert len({*told, *again}) == 1
    assert told[0].code == 7


async def test_identity_is_the_programs_own_process(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("pid", "sleep"))

    assert await lines(session, 1) == [f"pid {session.identity.pid}"]
    assert is_running(session.identity.pid)


# ---- what cannot be executed


@also_as_on_a_mac
async def test_an_unknown_program_fails_with_the_path_searched(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    folders = ("/nonexistent", "/usr/bin", "/dev/null")
    launch = scripted(argv=("no-such-program",), env={"PATH": os.pathsep.join(folders)})
    with pytest.raises(SpawnFailed, match="no-such-program") as failure:
        await spawner.spawn(launch)

    assert failure.value.errno == errno.ENOENT
    assert failure.value.searched == folders
    assert spawner.refs() == []


@pytest.mark.needs("posix")
async def test_a_file_without_permission_to_execute_is_eacces(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    for argv, env in [((str(tmp_path / "tool"),), {}), (("tool",), {"PATH": f"/usr/bin:{tmp_path}"})]:
        with pytest.raises(SpawnFailed, match="Permission denied") as failure:
            await spawner.spawn(scripted(argv=argv, env=env))
        assert failure.value.errno == errno.EACCES


async def test_a_script_without_interpreter_line_is_explained(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text("echo hi\n")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(SpawnFailed, match="a script needs") as failure:
        await spawner.spawn(scripted(argv=(str(tmp_path / "tool"),)))

    assert failure.value.errno == errno.ENOEXEC


@pytest.mark.needs("posix")
async def test_a_script_whose_interpreter_is_missing_is_explained(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text("#!/nonexistent/python\n")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(SpawnFailed, match="interpreter") as failure:
        await spawner.spawn(scripted(argv=("tool",), env={"PATH": str(tmp_path)}))

    assert failure.value.errno == errno.ENOENT


async def test_a_missing_directory_is_named(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    with pytest.raises(SpawnFailed, match="gone") as failure:
        await spawner.spawn(scripted("sleep", cwd=str(tmp_path / "gone")))

    assert failure.value.errno == errno.ENOENT


async def test_an_argument_list_that_is_too_long_is_explained(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    with pytest.raises(SpawnFailed, match="stdin") as failure:
        await spawner.spawn(scripted("x" * 3 * MIB))

    assert failure.value.errno == errno.E2BIG


@pytest.mark.parametrize(
    "wrong",
    [
        *({"argv": argv} for argv in ((), ("",), ("a\0b",))),
        *({"agent_id": name} for name in ("../x", "Con.txt", "lpt1", "ag.")),
        {"leftovers": "maybe"},
    ],
)
async def test_nonsense_is_refused_and_leaves_nothing(
    spawner: KeeperSpawner, scripted: Scripted, wrong: dict[str, object]
) -> None:
    with pytest.raises(SpawnFailed):
        await spawner.spawn(scripted("sleep", **wrong))

    assert spawner.refs() == []


async def test_an_agent_id_is_spawned_once(spawner: KeeperSpawner, scripted: Scripted) -> None:
    launch = scripted("sleep")
    results = await asyncio.gather(*(spawner.spawn(launch) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(result, SpawnFailed) for result in results) == 4
    assert len(spawner.refs()) == 1


# ---- the program's surroundings


@also_as_on_a_mac
async def test_the_program_gets_exactly_its_environment_directory_and_three_files(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    listed = () if WINDOWS else ("fds",)
    launch = scripted("environ", "env:A", "cwd", *listed, env={"A": "b c=d", "LC_ALL": "C"})
    session = await spawner.spawn(launch)
    told = (await everything(session)).decode().splitlines()

    names = [name for name in told[0].split(",") if not name.startswith(("SYSTEM", "WINE"))]  # it needs them
    assert names == [
        "A",
        "LC_ALL",
        "MUSTER_AGENT_DIR",
        "MUSTER_AGENT_ID",
    ]  # and what Windows cannot do without
    assert told[1:3] == ["A=b c=d", str(tmp_path)]
    if not WINDOWS:
        assert [line.split()[0] for line in told[3:]] == ["0", "1", "2"], told
        assert told[3] == "0 /dev/null"


@pytest.mark.needs("posix")
async def test_signals_start_at_their_defaults_and_unblocked(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    status = (await everything(await spawner.spawn(scripted(argv=("cat", "/proc/self/status"))))).decode()
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))

    assert int(masks["SigBlk"], 16) == 0
    internal = 0b11 << 31  # signals 32 and 33 belong to the C library, nobody can reset them
    assert int(masks["SigIgn"], 16) & ~internal == 0


@pytest.mark.needs("posix")
async def test_arguments_and_output_that_are_not_utf8_arrive_as_they_are(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    odd = os.fsdecode(b"\xff\xfe caf\xc3\xa9 $HOME 'q' \"\n*")
    launch = scripted(argv=("printf", "%s|%s", odd, ""), env={"PATH": os.environ["PATH"], "ODD": odd})

    assert await everything(await spawner.spawn(launch)) == os.fsencode(odd) + b"|"


@pytest.mark.needs("posix")
async def test_the_umask_is_the_daemons_own(spawner: KeeperSpawner, scripted: Scripted) -> None:
    mask = os.umask(0o027)
    try:
        session = await spawner.spawn(scripted("mask"))
    finally:
        os.umask(mask)

    assert await everything(session) == b"umask 27\n"


# ---- stdin


async def test_closed_stdin_is_at_its_end_at_once(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("cat"))

    assert (await session.wait()).code == 0
    with pytest.raises(SessionEnded):
        await session.write(b"late")


@pytest.mark.parametrize("size", [1, 70_000, 10 * MIB])
@pytest.mark.parametrize("live", [False, True])
async def test_stdin_given_at_spawn_arrives_whole(
    spawner: KeeperSpawner, scripted: Scripted, size: int, live: bool
) -> None:
    data = os.urandom(1024) * (size // 1024) or b"x"
    session = await spawner.spawn(scripted("digest", stdin=Stdin(data, live=live)))
    if live:
        await session.write(b"more")
        await session.close_stdin()
    expected = data + (b"more" if live else b"")

    told = await everything(session)
    assert told.decode().split() == [str(len(expected)), hashlib.sha256(expected).hexdigest()]


@also_as_on_a_mac
async def test_a_live_pipe_takes_writes_of_any_size_until_it_is_closed(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("cat", stdin=Stdin(live=True)))
    data = os.urandom(1024) * 1024
    await session.write(b"hello\n")
    assert await lines(session, 1) == ["hello"]
    await session.write(data)
    await session.close_stdin()

    assert await everything(session) == b"hello\n" + data
    assert (await session.wait()).code == 0


async def test_input_nobody_reads_is_busy_and_tells_how_much_went_in(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted(f"await:{fifo}", "digest", stdin=Stdin(live=True)))
    data = os.urandom(1024) * 1024
    with pytest.raises(SessionBusy) as busy:
        await session.write(data, timeout_s=0.2)
    taken = busy.value.written
    assert taken < len(data)

    await asyncio.to_thread(fifo.write_text, "go")
    await session.write(data[taken:])
    await session.close_stdin()
    assert (await everything(session)).decode().split()[1] == hashlib.sha256(data).hexdigest()


async def test_writing_to_a_program_that_closed_its_input_is_refused(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("close-input", "print:ready", "sleep", stdin=Stdin(live=True)))
    await lines(session, 1)
    with pytest.raises(SessionEnded):
        await session.write(b"x" * MIB)


# ---- output


async def test_output_is_bytes(spawner: KeeperSpawner, scripted: Scripted) -> None:
    raw = bytes(range(256))
    assert await everything(await spawner.spawn(scripted(f"raw:{raw.hex()}"))) == raw


@also_as_on_a_mac
async def test_streams_are_kept_apart_and_in_order(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("mixed:3000"))
    await session.wait()
    parts: dict[Stream, bytes] = {Stream.STDOUT: b"", Stream.STDERR: b""}
    async for piece in session.output():
        assert isinstance(piece, Chunk)
        assert piece.at_ms > 0
        parts[piece.stream] += piece.data

    assert parts[Stream.STDOUT].split() == [b"%d" % n for n in range(0, 3000, 2)]
    assert parts[Stream.STDERR].split() == [b"%d" % n for n in range(1, 3000, 2)]


@pytest.mark.parametrize("step", ["bytes:200000", f"line:{10 * MIB}"])
async def test_output_is_complete(spawner: KeeperSpawner, scripted: Scripted, step: str) -> None:
    session = await spawner.spawn(scripted(step))
    output = await everything(session)

    assert len(output) == int(step.split(":")[1])
    assert (await session.wait()).spool_end == len(output)
    assert await everything(await spawner.reattach(session.ref), follow=False) == output


async def test_a_follower_gets_200_mb_whole_though_the_spool_keeps_less(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    total = 200_000_000
    session = await spawner.spawn(scripted(f"bytes:{total}", spool_bytes=8 * MIB))
    seen = 0
    async for piece in session.output(follow=True):
        assert isinstance(piece, Chunk)
        assert piece.offset == seen
        seen = piece.end

    assert seen == total
    assert (await session.wait()).dropped == 0


async def test_without_a_follower_the_tail_is_kept_and_the_rest_is_a_gap(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted(f"await:{fifo}", "bytes:3000000", "print:end", spool_bytes=MIB))
    async for _ in session.output(follow=False):  # has looked, and does not follow
        pass
    release = session.output(follow=True)
    waiting = asyncio.ensure_future(anext(release))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await session.live_members()  # the keeper has heard the release by now
    await asyncio.to_thread(fifo.write_text, "go")
    await session.wait()
    pieces = [piece async for piece in session.output()]

    assert isinstance(pieces[0], Gap)
    kept = 3_000_004 - pieces[0].end
    assert 0.70 * MIB < kept <= MIB
    assert b"".join(p.data for p in pieces[1:] if isinstance(p, Chunk)).endswith(b"end\n")


async def test_output_from_an_offset_in_the_middle(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("mixed:2000"))
    whole = await everything(session)
    middle = len(whole) // 2 + 1
    pieces = [piece async for piece in session.output(middle)]

    assert pieces[0].offset == middle
    assert b"".join(p.data for p in pieces if isinstance(p, Chunk)) == whole[middle:]


async def test_two_followers_and_one_that_gave_up(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted("print:one", f"await:{fifo}", "print:two"))
    assert await lines(session, 1) == ["one"]
    following = [asyncio.ensure_future(everything(session)) for _ in range(2)]
    await asyncio.to_thread(fifo.write_text, "go")

    assert await asyncio.gather(*following) == [b"one\ntwo\n"] * 2


# ---- stop, signal


@also_as_on_a_mac
async def test_stop_ends_an_agent_that_ignores_signals_and_its_whole_tree(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    steps = ("start-child", "setsid-child", "daemon-child", "group-child", "stopped-child", "quiet-child")
    session = await spawner.spawn(scripted("ignore-term", "ignore-int", *steps, "sleep"))
    pids = await children(session, len(steps))
    members = await session.live_members()
    assert members[0] == session.identity
    assert {member.pid for member in members} == {session.identity.pid, *pids}

    ended = await session.stop(interrupt_s=0.1, terminate_s=0.1)

    assert (was_killed(ended), ended.ended_by) == (True, "stop")
    assert ended.stop is not None
    assert (ended.stop.stage, ended.stop.survivors) == ("kill", ())
    assert {int(name.split()[0]) for name in ended.stop.killed} == {session.identity.pid, *pids}
    assert [pid for pid in pids if is_running(pid)] == []
    assert await session.live_members() == ()


@pytest.mark.needs("ctrl-break")
async def test_stop_interrupts_first_and_says_so(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted(argv=agent_argv("print:up", "sleep")))
    await lines(session, 1)
    ended = await session.stop(interrupt_s=30)

    assert ended.ended_by == "stop"
    assert ended.stop is not None
    assert ended.stop.stage == "interrupt"


@pytest.mark.needs("posix")
async def test_stop_terminates_what_ignores_the_interrupt(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("say-int", "print:up", "sleep"))
    await lines(session, 1)
    stopping = asyncio.ensure_future(session.stop(interrupt_s=1000, terminate_s=30))
    await lines(session, 2)  # it has heard the interrupt
    ended = await session.stop(interrupt_s=0, terminate_s=30)

    assert await stopping == ended
    assert ended.signal == signal.SIGTERM
    assert await everything(session) == b"up\nint\n"
    assert ended.stop is not None
    assert ended.stop.stage == "terminate"


@pytest.mark.needs("ctrl-break")
async def test_what_an_obedient_agent_leaves_behind_at_its_stop_is_ended_too(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("setsid-child", "daemon-child", "sleep"))
    pids = await children(session, 2)
    ended = await session.stop(interrupt_s=30)

    assert ended.ended_by == "stop"
    assert [pid for pid in pids if is_running(pid)] == []
    assert {int(name.split()[0]) for name in ended.leftovers} == set(pids)


async def test_a_repeated_stop_with_shorter_times_hastens_the_first(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("ignore-int", "ignore-term", "print:up", "sleep"))
    await lines(session, 1)
    first = asyncio.ensure_future(session.stop(interrupt_s=1000, terminate_s=1000))
    await asyncio.sleep(0)
    second = await asyncio.wait_for(session.stop(interrupt_s=0, terminate_s=0), 60)

    assert await first == second
    assert was_killed(second)


@pytest.mark.needs("posix")
async def test_a_stopped_agent_can_be_stopped(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("print:up", f"die:{int(signal.SIGSTOP)}", "sleep"))
    await lines(session, 1)
    until(lambda: Path(f"/proc/{session.identity.pid}/stat").read_text().split()[2] == "T", "SIGSTOP")
    ended = await session.stop(interrupt_s=30)

    assert ended.stop is not None
    assert ended.stop.stage == "interrupt"


async def test_an_agent_that_ended_by_itself_was_not_stopped(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("exit:4"))
    await session.wait()

    ended = await session.stop()
    assert (ended.code, ended.ended_by, ended.stop) == (4, None, None)


@pytest.mark.needs("posix")
async def test_signal_reaches_the_program(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("print:up", "sleep"))
    await lines(session, 1)
    await session.signal(signal.SIGUSR1)

    assert (await session.wait()).signal == signal.SIGUSR1
    with pytest.raises(SessionEnded):
        await session.signal(signal.SIGUSR1)


async def test_a_signal_number_that_does_not_exist_is_an_error(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    with pytest.raises(SpawnerError):
        await session.signal(4711)


# ---- leftovers, timeout


@also_as_on_a_mac
async def test_leftovers_are_ended_and_named(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("start-child", "daemon-child", "polite-child", "exit:0"))
    ended = await asyncio.wait_for(session.wait(), 20)
    pids = await children(session, 3)

    assert (ended.code, ended.ended_by, ended.stop) == (0, None, None)
    assert {int(name.split()[0]) for name in ended.leftovers} == set(pids)
    assert [pid for pid in pids if is_running(pid)] == []


async def test_kept_leftovers_live_on_and_their_output_is_kept(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    launch = scripted("print:up", "start-child", "exit:5", leftovers="keep")
    session = await spawner.spawn(launch)
    ended = await asyncio.wait_for(session.wait(), 20)
    (child,) = [int(line.split()[1]) for line in (await lines(session, 2))[1:]]

    assert (ended.code, ended.leftovers) == (5, ())
    assert is_running(child)
    with pytest.raises(SpawnerError):
        await spawner.forget(session.ref)
    again = await spawner.reattach(session.ref)
    assert await again.wait() == ended
    assert await again.stop(interrupt_s=0, terminate_s=0) == ended
    assert not is_running(child)
    assert await everything(session) == b"up\nchild %d\n" % child


async def test_kept_leftovers_without_our_pipes_hold_nothing_up(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("quiet-child", "exit:0", leftovers="keep"))
    ended = await asyncio.wait_for(session.wait(), 20)
    (child,) = await children(session, 1)
    try:
        assert ended.code == 0
        assert is_running(child)
    finally:
        os.kill(child, 9)


@also_as_on_a_mac
async def test_the_timeout_ends_the_agent_and_says_so(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("sleep", timeout_s=0.2))
    ended = await session.wait()

    assert ended.ended_by == "timeout"
    assert ended.at_ms - ended.started_ms >= 200


async def test_an_agent_that_ends_in_time_has_not_timed_out(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    assert (await (await spawner.spawn(scripted("exit:0", timeout_s=60))).wait()).ended_by is None


# ---- reattach, forget


@also_as_on_a_mac
async def test_a_session_is_taken_up_again_and_goes_on(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    first = await spawner.spawn(scripted("print:one", f"await:{fifo}", "print:two", "exit:6"))
    await first.detach()
    second = await spawner.reattach(first.ref)
    assert (second.identity, second.started_ms) == (first.identity, first.started_ms)
    await asyncio.to_thread(fifo.write_text, "go")

    assert await everything(second) == b"one\ntwo\n"
    assert (await second.wait()).code == 6


async def test_many_agents_at_once_are_all_found_again(spawner: KeeperSpawner, scripted: Scripted) -> None:
    sessions = await asyncio.gather(*(spawner.spawn(scripted("sleep")) for _ in range(20)))
    for session in sessions:
        await session.detach()
    again = await asyncio.gather(*(spawner.reattach(ref) for ref in spawner.refs()))

    assert {s.identity for s in again} == {s.identity for s in sessions}
    assert len({s.identity.pid for s in again}) == 20


@pytest.mark.needs("posix")
async def test_a_stop_is_not_stopped_by_stopping_the_keeper(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    parent = int(Path(f"/proc/{session.identity.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGSTOP)
    ended = await asyncio.wait_for(session.stop(interrupt_s=0, terminate_s=0), 20)
    assert ended.signal == signal.SIGKILL
    assert not is_running(session.identity.pid)


@pytest.mark.needs("posix")
async def test_a_program_starts_with_the_file_limit_it_is_given(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    import resource

    for limit, expected in (
        (123, b"123"),
        (None, str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]).encode()),
    ):
        launch = replace(scripted(), argv=("sh", "-c", "ulimit -Sn"), open_files=limit)
        session = await spawner.spawn(replace(launch, agent_id=f"ag-{os.urandom(6).hex()}"))
        await session.wait()
        said = b"".join([item.data async for item in session.output() if isinstance(item, Chunk)])
        assert said.strip() == expected


async def test_what_a_program_was_given_is_deleted_once_its_end_is_known(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    launch = scripted("digest", stdin=Stdin(b"planted-input " * 10))
    session = await spawner.spawn(replace(launch, env={**launch.env, "PLANTED": "planted-value"}))
    ended = await session.wait()
    spawner.collected(session.ref)

    left = b"".join(file.read_bytes() for file in Path(session.ref.directory).iterdir())
    assert b"planted-" not in left
    assert b"PLANTED" in left
    again = await spawner.reattach(session.ref)
    assert await again.wait() == ended
    assert [item async for item in again.output()] == [item async for item in session.output()]


async def test_a_running_agent_is_not_forgotten_and_an_ended_one_leaves_nothing(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    with pytest.raises(SpawnerError, match="running"):
        await spawner.forget(session.ref)
    assert is_running(session.identity.pid)
    await session.stop(interrupt_s=0)
    await spawner.forget(session.ref)

    assert not Path(session.ref.directory).exists()
    with pytest.raises(SessionLost) as lost:
        await spawner.reattach(session.ref)
    assert lost.value.kind == "unknown"


async def test_what_was_given_before_is_not_given_again_and_survives_who_gave_it(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    """A daemon may repeat all that it has ever wanted to say, from the start."""
    session = await spawner.spawn(scripted("cat", stdin=Stdin(live=True)))
    await session.give(0, b"one ")
    await session.detach()

    later = await spawner.reattach(session.ref)
    await later.give(0, b"one two ")
    await later.give(4, b"two three")
    await later.close_stdin()

    assert await everything(later) == b"one two three"
    assert (await later.wait()).code == 0


async def test_bytes_behind_a_gap_are_not_given(spawner: KeeperSpawner, scripted: Scripted) -> None:
    session = await spawner.spawn(scripted("cat", stdin=Stdin(live=True)))
    await session.give(0, b"one")

    with pytest.raises(SpawnerError, match="only 3 bytes were given"):
        await session.give(4, b"three")

    await session.close_stdin()
    assert await everything(session) == b"one"


async def test_giving_to_a_program_that_reads_no_more_says_that_it_has_ended(
    spawner: KeeperSpawner, scripted: Scripted, fifo: Path
) -> None:
    session = await spawner.spawn(scripted(f"await:{fifo}", stdin=Stdin(live=True)))
    giving = asyncio.create_task(session.give(0, bytes(4 * MIB)))  # more than pipe and keeper hold

    await asyncio.to_thread(fifo.write_bytes, b"go")

    with pytest.raises(SessionEnded):
        await giving
