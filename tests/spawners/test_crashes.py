# ruff: noqa: ASYNC220, ASYNC221
"""Killed anywhere and started again: one process at most, one verdict, nothing of the tree left over."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until, zombies_of
from spawner_fixtures import also_as_on_a_mac

from spawners import _os
from spawners.client import KeeperSpawner
from spawners.errors import SessionLost, SpawnFailed
from spawners.launch import Launch, SessionRef

Scripted = Callable[..., Launch]
AGENT = f"ag-{os.urandom(6).hex()}"
"""Unlike that of any test running at the same time: processes are found by it."""
LIMIT = 256 * 1024 * 1024
"""Far more than any of these uses: a keeper with a limit waits at the gate."""
FAKES = Path(__file__).parent.parent / "fakes"


def child_json(ref: SessionRef) -> dict[str, object]:
    value = json.loads(Path(ref.directory, "child.json").read_text())
    assert isinstance(value, dict)
    return value


def keeper_pid(ref: SessionRef) -> int:
    return int(str(child_json(ref)["keeperPid"]))


def kill_keeper(ref: SessionRef) -> None:
    """`kill -9`, and until the kernel has freed its lock."""
    os.kill(keeper_pid(ref), signal.SIGKILL)
    until(lambda: not _os.is_locked(ref.directory + "/lock"), "the keeper's lock")


def marked(agent_id: str) -> list[int]:
    """Every living process whose environment names the agent, once none is in the middle of an exec."""
    found: list[tuple[int, bool | None]] = []

    def told() -> bool:
        mark = f"MUSTER_AGENT_ID={agent_id}"
        found[:] = [(item.pid, _os.has_mark(item.pid, mark)) for item in _os.processes() if not item.zombie]
        return all(verdict is not None for _, verdict in found)

    until(told, "every process to have its environment")
    return [pid for pid, verdict in found if verdict]


async def printed(session: object, count: int) -> list[str]:
    seen = b""
    async for piece in session.output(follow=True):  # type: ignore[attr-defined]
        seen += piece.data
        if seen.count(b"\n") >= count:
            break
    return seen.decode().splitlines()


class Daemon:
    """The spawner in a process of its own, to be killed."""

    def __init__(
        self, spawner: KeeperSpawner, agent_id: str, *words: str, failpoint: str = "", memory: int = 0
    ) -> None:
        folder = str(Path(spawner.ref("x").directory).parent.parent)
        path = os.pathsep.join([str(FAKES), *sys.path])
        env = {**os.environ, "PYTHONPATH": path, "MUSTER_FAILPOINT": failpoint}
        env["MUSTER_TEST_KEEPERS"] = "forked" if spawner._keepers.zygote_pid else "executed"
        env["MUSTER_TEST_MEMORY"] = str(memory)
        self.process = subprocess.Popen(
            [sys.executable, str(FAKES / "spawning.py"), folder, agent_id, *words],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(60)


def started(spawner: KeeperSpawner) -> str:
    """Where a daemon dies that has done its part: a forked keeper waits at the gate until it is told GO."""
    return "after_go_said" if spawner._keepers.zygote_pid else "after_keeper_started"


# ---- the daemon dies


@also_as_on_a_mac
async def test_an_agent_outlives_its_daemon_and_its_exit_is_recorded(
    spawner: KeeperSpawner, tmp_path: Path
) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    daemon = Daemon(spawner, AGENT, "print:one", f"await:{fifo}", "bytes:100000", "exit:9")
    pid = int(await asyncio.to_thread(daemon.line))
    daemon.kill()
    assert is_running(pid)
    await asyncio.to_thread(fifo.write_text, "go")
    until(lambda: Path(spawner.ref(AGENT).directory, "exit.json").exists(), "the exit record")

    session = await spawner.reattach(spawner.ref(AGENT))
    assert (await session.wait()).code == 9
    assert sum([len(piece.data) async for piece in session.output()]) == 100_004  # type: ignore[union-attr]
    assert session.identity.pid == pid


async def test_a_stop_that_began_is_finished_though_the_daemon_died(spawner: KeeperSpawner) -> None:
    steps = ("ignore-term", "ignore-int", "setsid-child", "sleep", "--", "stop")
    daemon = Daemon(spawner, AGENT, *steps)
    pid = int(await asyncio.to_thread(daemon.line))
    assert await asyncio.to_thread(daemon.line) == "stopping"
    daemon.kill()

    session = await spawner.reattach(spawner.ref(AGENT))
    ended = await session.wait()
    assert (ended.ended_by, ended.signal) == ("stop", signal.SIGKILL)
    assert not is_running(pid)
    assert marked(AGENT) == []


async def test_a_daemon_killed_after_the_spec_leaves_nothing_that_ran_and_the_spec_can_be_started(
    spawner: KeeperSpawner,
) -> None:
    daemon = Daemon(spawner, AGENT, "print:ran", "sleep", failpoint="after_spec_written")
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGKILL
    ref = spawner.ref(AGENT)
    with pytest.raises(SessionLost) as lost:
        await spawner.reattach(ref)
    assert lost.value.kind == "never_started"

    session = await spawner.resume(ref)
    assert await printed(session, 1) == ["ran"]
    with pytest.raises(SessionLost):
        await spawner.resume(ref)
    assert marked(AGENT) == [session.identity.pid]


async def test_a_daemon_killed_after_starting_the_keeper_finds_the_agent_running(
    spawner: KeeperSpawner,
) -> None:
    daemon = Daemon(spawner, AGENT, "sleep", failpoint=started(spawner))
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGKILL

    session = await spawner.reattach(spawner.ref(AGENT))
    assert marked(AGENT) == [session.identity.pid]


@pytest.mark.parametrize("points", ["after_keeper_started", "before_go"])
async def test_a_daemon_killed_while_the_keeper_waits_at_the_gate_leaves_nothing_that_ran(
    spawner: KeeperSpawner, points: str
) -> None:
    daemon = Daemon(spawner, AGENT, "print:ran", "sleep", failpoint=points, memory=LIMIT)
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGKILL
    ref = spawner.ref(AGENT)
    with pytest.raises(SessionLost) as lost:
        await spawner.reattach(ref)
    assert lost.value.kind == "never_started"

    session = await spawner.resume(ref)
    assert await printed(session, 1) == ["ran"]
    assert marked(AGENT) == [session.identity.pid]


@pytest.mark.parametrize("point", ["before_born", "after_born", "after_go"])
async def test_a_keeper_killed_at_the_gate_is_a_failed_spawn_and_nothing_ran(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", point)
    launch = scripted("sleep", memory_bytes=LIMIT)
    with pytest.raises(SpawnFailed, match="keeper died"):
        await spawner.spawn(launch)

    assert marked(launch.agent_id) == []
    assert spawner.refs() == []


async def test_a_keeper_told_to_end_at_the_gate_has_run_nothing(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the machine goes down just then."""
    told = asyncio.get_running_loop().create_future()

    async def end_it(_: object, ref: SessionRef, pid: int, limits: object) -> int | None:
        os.kill(pid, signal.SIGTERM)
        told.set_result(pid)
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr("spawners.births.Keepers._placed", end_it)
    monkeypatch.setattr("spawners.births.BIRTH_S", 1.0)
    launch = scripted("print:ran", memory_bytes=LIMIT)
    with pytest.raises(SpawnFailed):
        await spawner.spawn(launch)

    until(lambda: not is_running(told.result()), "the keeper to be gone")
    assert spawner.refs() == []


@pytest.mark.parametrize(
    ("point", "kind"),
    [("before_claim", "never_started"), ("after_claim", "keeper_killed"), ("after_exec", "keeper_killed")],
)
async def test_daemon_and_keeper_both_killed_during_a_spawn(
    spawner: KeeperSpawner, point: str, kind: str
) -> None:
    daemon = Daemon(spawner, AGENT, "sleep", failpoint=f"{started(spawner)},{point}")
    assert await asyncio.to_thread(daemon.wait) == -signal.SIGKILL
    with pytest.raises(SessionLost) as lost:
        await spawner.reattach(spawner.ref(AGENT))

    assert lost.value.kind == kind
    assert marked(AGENT) == []
    if kind == "never_started":
        session = await spawner.resume(spawner.ref(AGENT))
        assert marked(AGENT) == [session.identity.pid]
    else:
        with pytest.raises(SessionLost):
            await spawner.resume(spawner.ref(AGENT))


# ---- the keeper dies


@pytest.mark.parametrize("point", ["before_claim", "after_claim", "after_exec", "after_child_written"])
async def test_a_keeper_killed_during_the_spawn_is_a_failed_spawn_and_nothing_lives(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", point)
    launch = scripted("ignore-term", "sleep")
    with pytest.raises(SpawnFailed, match="keeper died"):
        await spawner.spawn(launch)

    assert marked(launch.agent_id) == []
    assert spawner.refs() == []


@pytest.mark.parametrize("point", ["after_exit_seen", "after_exit_written"])
async def test_a_keeper_killed_around_the_exit_record(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", point)
    session = await spawner.spawn(scripted("exit:3"))
    if point == "after_exit_written":
        assert (await session.wait()).code == 3
    else:
        with pytest.raises(SessionLost, match="keeper"):
            await session.wait()


async def test_a_keeper_killed_at_the_beginning_of_a_stop_leaves_nothing_alive(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", "after_stop_began")
    session = await spawner.spawn(scripted("ignore-int", "ignore-term", "daemon-child", "sleep"))
    await printed(session, 1)
    with pytest.raises(SessionLost) as lost:
        await session.stop()

    assert lost.value.kind == "keeper_killed"
    assert marked(session.ref.agent_id) == []


@also_as_on_a_mac
async def test_a_killed_keeper_is_noticed_and_the_survivors_are_ended_and_named(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(
        scripted("setsid-child", "daemon-child", "start-child", "print:up", "sleep")
    )
    pids = [int(line.split()[1]) for line in (await printed(session, 4))[:3]]
    kill_keeper(session.ref)
    with pytest.raises(SessionLost) as lost:
        await session.wait()

    assert lost.value.kind == "keeper_killed"
    assert set(lost.value.ended_pids) == {session.identity.pid, *pids}
    assert "python" in str(lost.value)
    assert [pid for pid in (session.identity.pid, *pids) if is_running(pid)] == []
    with pytest.raises(SessionLost) as again:
        await spawner.reattach(session.ref)
    assert (again.value.kind, again.value.ended_pids) == ("keeper_killed", ())


async def test_output_written_before_the_keeper_was_killed_can_still_be_read(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("print:up", "sleep"))
    await printed(session, 1)
    kill_keeper(session.ref)
    pieces = [piece async for piece in session.output(follow=True)]

    assert [piece.data for piece in pieces] == [b"up\n"]  # type: ignore[union-attr]


async def test_after_a_restart_of_the_machine_nothing_is_signalled(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    kill_keeper(session.ref)
    told = child_json(session.ref) | {"bootId": "another-boot"}
    Path(session.ref.directory, "child.json").write_text(json.dumps(told))
    try:
        with pytest.raises(SessionLost) as lost:
            await spawner.reattach(session.ref)
        assert lost.value.kind == "host_reboot"
        assert is_running(session.identity.pid)
    finally:
        os.kill(session.identity.pid, signal.SIGKILL)


async def test_a_stranger_with_the_same_pid_lives(spawner: KeeperSpawner, scripted: Scripted) -> None:
    stranger = subprocess.Popen(agent_argv("sleep"), start_new_session=True)
    begun = _os.process(stranger.pid)
    assert begun is not None
    per_tick = os.sysconf("SC_CLK_TCK")  # a start time is as fine as that; a pid takes seconds to come round
    until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * per_tick > begun.started + 1, "the next tick")
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    kill_keeper(session.ref)
    told = child_json(session.ref) | {"pid": stranger.pid}
    Path(session.ref.directory, "child.json").write_text(json.dumps(told))
    try:
        with pytest.raises(SessionLost) as lost:
            await spawner.reattach(session.ref)
        assert lost.value.ended_pids == (session.identity.pid,)  # by its mark
        assert is_running(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


async def test_an_agent_of_the_same_id_under_another_root_lives(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    sockets = tempfile.mkdtemp(prefix="mu-", dir="/tmp")
    other = KeeperSpawner(str(tmp_path / "a"), sockets, str(tmp_path / "c"))
    launch = scripted("sleep")
    mine, others = await spawner.spawn(launch), await other.spawn(launch)
    kill_keeper(mine.ref)
    with pytest.raises(SessionLost) as lost:
        await mine.wait()

    assert lost.value.ended_pids == (mine.identity.pid,)
    assert is_running(others.identity.pid)
    assert (await others.stop()).ended_by == "stop"


async def test_a_daemon_started_by_an_agent_is_never_its_own_victim(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path
) -> None:
    """The sweep runs in a process that carries the mark of the very agent whose keeper was killed."""
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    kill_keeper(session.ref)
    code = (
        "from spawners.recovery import lost; from spawners.launch import SessionRef; import sys;"
        "print(lost(SessionRef(sys.argv[1], sys.argv[2])).ended_pids)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, session.ref.agent_id, session.ref.directory],
        env={**os.environ, "MUSTER_AGENT_DIR": session.ref.directory},
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == f"({session.identity.pid},)"


# ---- nothing is left behind


async def test_forgetting_an_agent_whose_keeper_was_killed_ends_what_is_left_of_it(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    kill_keeper(session.ref)
    await spawner.forget(session.ref)

    assert not is_running(session.identity.pid)
    assert spawner.refs() == []


@also_as_on_a_mac
async def test_keepers_leave_no_zombies(spawner: KeeperSpawner, scripted: Scripted) -> None:
    sessions = await asyncio.gather(*(spawner.spawn(scripted("exit:0")) for _ in range(5)))
    keepers = [keeper_pid(session.ref) for session in sessions]
    await asyncio.gather(*(session.wait() for session in sessions))
    async with asyncio.timeout(60):
        while spawner._keepers._executed:  # noqa: ASYNC110 - collected through the loop, which tells nobody
            await asyncio.sleep(0.005)

    assert not set(zombies_of(os.getpid())) & set(keepers)
    assert not spawner._keepers._executed


async def test_a_keeper_whose_socket_was_deleted_is_reached_again(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    spec = json.loads(Path(session.ref.directory, "spec.json").read_text())
    Path(spec["socket"]).unlink()

    again = await spawner.reattach(session.ref)
    assert again.identity == session.identity
    assert [member.pid for member in await again.live_members()] == [session.identity.pid]


async def test_a_keeper_that_does_not_answer_is_unknown_and_not_dead(
    spawner: KeeperSpawner, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spawners.client.HELLO_S", 0.2)
    session = await spawner.spawn(scripted("sleep"))
    await session.detach()
    keeper = keeper_pid(session.ref)
    os.kill(keeper, signal.SIGSTOP)
    try:
        again = await spawner.reattach(session.ref)
        assert again.identity == session.identity
        assert is_running(session.identity.pid)
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert (await again.stop(interrupt_s=0, terminate_s=0)).signal == signal.SIGKILL
