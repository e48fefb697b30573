"""With a real systemd user manager: where keepers live, and what their agents may use."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from keeper_peer import keeper_of
from muster_processes import until
from systemd_user import UserManager

from spawners import _os
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.errors import SessionLost
from spawners.launch import Launch
from spawners.limits import Limits, is_enforced, left_to_enforce
from spawners.scopes import Scopes

pytestmark = pytest.mark.needs("systemd")
Scripted = Callable[..., Launch]
MIB = 1024 * 1024
GREEDY = (sys.executable, "-I", "-S", "-c", "held = []\nwhile True: held.append(bytearray(b'x' * 1000000))")


@pytest.fixture
def scopes(user_manager: UserManager) -> Scopes:
    found = Scopes.find(user_manager.environment)
    assert found is not None
    return found


@pytest.fixture(params=["executed", "forked"])
async def keepers(request: pytest.FixtureRequest, scopes: Scopes) -> AsyncIterator[Keepers]:
    folder = tempfile.mkdtemp(prefix="mu-", dir="/tmp")
    made = Keepers(f"{folder}/cache", zygote=request.param == "forked", scopes=scopes)
    made.begin()
    if request.param == "forked":
        async with asyncio.timeout(60):
            await made.ready()
    yield made
    await made.close()
    shutil.rmtree(folder, ignore_errors=True)


async def test_every_keeper_is_outside_the_cgroup_of_its_daemon(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers, user_manager: UserManager
) -> None:
    session = await spawner.spawn(scripted("sleep"))
    unit = _os.unit_of(keeper_of(session.ref))

    assert unit in user_manager.scopes()
    assert _os.unit_of(session.identity.pid) == unit
    assert unit != _os.unit_of("self")
    if keepers.zygote_pid is not None:
        assert unit == _os.unit_of(keepers.zygote_pid)
    else:
        assert unit == f"muster-{session.ref.agent_id}.scope"


async def test_a_limited_agent_has_a_scope_of_its_own_which_goes_with_it(
    spawner: KeeperSpawner, scripted: Scripted, user_manager: UserManager
) -> None:
    session = await spawner.spawn(scripted("sleep", memory_bytes=64 * MIB, cpus=0.5))
    unit = f"muster-{session.ref.agent_id}.scope"

    assert _os.unit_of(session.identity.pid) == _os.unit_of(keeper_of(session.ref)) == unit
    assert user_manager.property(unit, "MemoryMax") == str(64 * MIB)
    assert user_manager.property(unit, "MemorySwapMax") == "0"
    assert user_manager.property(unit, "CPUQuotaPerSecUSec") == "500ms"
    assert user_manager.property(unit, "Slice") == "app-muster.slice"
    assert left_to_enforce(session.identity.pid, Limits(64 * MIB, 0.5)) == Limits()
    assert is_enforced(session.ref, session.identity.pid, 64 * MIB)
    assert os.sched_getaffinity(session.identity.pid) == os.sched_getaffinity(0)
    await session.stop()
    until(lambda: unit not in user_manager.scopes(), f"{unit} to be gone")


async def test_the_kernel_ends_an_agent_above_its_memory_and_the_keeper_says_so(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    session = await spawner.spawn(scripted(argv=GREEDY, memory_bytes=64 * MIB))
    ended = await session.wait()

    assert ended.signal == signal.SIGKILL
    assert ended.oom
    assert ended.ended_by is None


async def test_limits_that_systemd_takes_and_cannot_enforce_are_left_to_others(
    spawner: KeeperSpawner, scripted: Scripted
) -> None:
    """Without a folder for the controllers in the older hierarchies, as a user's systemd mostly is there."""
    if not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("only with older cgroup hierarchies")
    manager = UserManager(controllers=())
    try:
        found = Scopes.find(manager.environment)
        keepers = Keepers(tempfile.mkdtemp(prefix="mu-", dir=manager.folder), scopes=found)
        folder = manager.folder
        other = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c", keepers=keepers)
        session = await other.spawn(scripted("sleep", memory_bytes=64 * MIB, cpus=0.5))
        assert manager.property(f"muster-{session.ref.agent_id}.scope", "MemoryMax") == str(64 * MIB)
        assert left_to_enforce(session.identity.pid, Limits(64 * MIB, 0.5)) == Limits(64 * MIB, 0.5)
        assert not is_enforced(session.ref, session.identity.pid, 64 * MIB)
        assert len(os.sched_getaffinity(session.identity.pid)) == 1
        assert os.sched_getaffinity(keeper_of(session.ref)) == os.sched_getaffinity(0)
        await session.stop()
    finally:
        manager.end()


# ---- a manager that is not well


async def test_a_manager_that_hangs_costs_two_seconds_once(scripted: Scripted) -> None:
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mu-", dir="/tmp") as folder:
        Path(folder, "systemd").mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/systemd/private")
            listener.listen()
            scopes = Scopes.find({"XDG_RUNTIME_DIR": folder}, said.append)
            keepers = Keepers(f"{folder}/c", scopes=scopes)
            spawner = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c", keepers=keepers)
            loop = asyncio.get_running_loop()
            began = loop.time()
            first = await spawner.spawn(scripted("sleep"))
            between = loop.time()
            second = await spawner.spawn(scripted("sleep"))
            assert 2 <= between - began < 10
            assert loop.time() - between < 2
            assert "not answered within 2 s" in said[0]
            assert len(said) == 1
            assert not keepers.is_sheltered
            assert keepers.problems
            for session in (first, second):
                await session.stop(interrupt_s=0, terminate_s=0)


async def test_a_manager_that_is_gone_is_no_reason_not_to_spawn(
    spawner: KeeperSpawner, scripted: Scripted, keepers: Keepers, user_manager: UserManager
) -> None:
    user_manager.process.kill()
    user_manager.process.wait()
    session = await spawner.spawn(scripted("exit:3", memory_bytes=64 * MIB))

    assert (await session.wait()).code == 3
    assert "cannot be reached" in keepers.problems[0]


async def test_a_property_that_this_systemd_does_not_know_is_left_out(
    scopes: Scopes, user_manager: UserManager
) -> None:
    scopes._optional = {"NobodyKnowsThis": ("s", "x")}
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        assert await scopes.put(sleeper.pid, "muster-tried.scope", "a test", Limits(64 * MIB))
        assert user_manager.property("muster-tried.scope", "MemoryMax") == str(64 * MIB)
        assert user_manager.property("muster-tried.scope", "Description") == "a test"
    finally:
        sleeper.kill()
        await sleeper.wait()


async def test_where_no_manager_runs_nothing_is_asked(tmp_path: Path) -> None:
    assert Scopes.find({"XDG_RUNTIME_DIR": str(tmp_path)}) is None


# ---- killed on the way


@pytest.mark.parametrize("point", ["before_born", "after_born", "after_go", "before_claim"])
async def test_a_keeper_killed_at_the_gate_leaves_no_scope_and_no_process(
    spawner: KeeperSpawner,
    scripted: Scripted,
    user_manager: UserManager,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    monkeypatch.setenv("MUSTER_FAILPOINT", point)
    launch = scripted("sleep", memory_bytes=64 * MIB)
    with pytest.raises(Exception, match="keeper died"):
        await spawner.spawn(launch)

    assert spawner.refs() == []
    until(lambda: f"muster-{launch.agent_id}.scope" not in user_manager.scopes(), "the scope to be gone")


async def test_a_process_that_has_ended_and_was_not_collected_is_not_the_manager_s_fault(
    tmp_path: Path,
) -> None:
    """As a forked keeper that is killed: the fork server collects it a moment later."""
    scopes = Scopes(str(tmp_path / "no-manager"))
    pid = os.posix_spawn("/bin/true", ["true"], {})  # noqa: ASYNC221
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    try:
        assert not await scopes.put(pid, "muster-ended.scope", "ended")
        assert (scopes.problem, scopes.usable) == ("", True)
    finally:
        os.waitpid(pid, 0)  # noqa: ASYNC222
    assert not await scopes.put(os.getpid(), "muster-living.scope", "living")
    assert not scopes.usable


async def test_a_spawn_given_up_at_the_gate_has_run_nothing_and_can_be_done_again(
    scripted: Scripted, user_manager: UserManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the daemon dies there: the manager is stopped while it is asked."""
    asked = asyncio.Event()
    put = Scopes.put

    async def noted(scopes: Scopes, *words: Any) -> bool:
        asked.set()
        return await put(scopes, *words)

    monkeypatch.setattr(Scopes, "put", noted)
    found = Scopes.find(user_manager.environment)
    folder = user_manager.folder
    keepers = Keepers(f"{folder}/c", scopes=found)
    spawner = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c", keepers=keepers)
    launch = scripted("sleep")
    ref = spawner.ref(launch.agent_id)
    user_manager.process.send_signal(signal.SIGSTOP)
    spawning = asyncio.create_task(spawner.spawn(launch))
    try:
        async with asyncio.timeout(60):
            await asked.wait()
        spawning.cancel()
        await asyncio.gather(spawning, return_exceptions=True)
        with pytest.raises(SessionLost) as lost:
            await spawner.reattach(ref)
    finally:
        user_manager.process.send_signal(signal.SIGCONT)
    assert lost.value.kind == "never_started"
    session = await spawner.resume(ref)
    assert (await session.stop()).ended_by == "stop"
