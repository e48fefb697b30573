"""Agents that nobody watches are found again, and those that are only just starting are left alone."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from muster_processes import agent_argv

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Thresholds
from orchestrator.daemon.limits import Limits
from orchestrator.daemon.observations import Observations
from orchestrator.daemon.recover import keep_looking
from orchestrator.daemon.supervise import Supervisor
from orchestrator.store.database import Database
from relay.wire.agents import ManagedAgent, Mode, Status
from spawners.client import KeeperSpawner
from spawners.launch import Launch
from spawners.providers.registry import BUILTIN
from spawners.watch import Watches

UNWATCHED, IN_FLIGHT = "ag-00000000000a", "ag-00000000000b"


async def test_looking_again_finds_the_unwatched_and_spares_a_spawn_in_flight(tmp_path: Path) -> None:
    folder = tempfile.mkdtemp(prefix="mu-")
    spawner = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c")
    registry = Registry(Database(str(tmp_path / "host.db")), "h", clock=lambda: 1)  # as old as can be
    observations = Observations(registry, BUILTIN, f"{folder}/p", Limits(registry), Watches(), Thresholds())
    supervisor = Supervisor(registry, lambda record: None, Watches(), observations)
    for agent_id in (UNWATCHED, IN_FLIGHT):
        agent = ManagedAgent(
            id=agent_id, status=Status.STARTING, provider="command", mode=Mode.HEADLESS, created_at=1
        )
        registry.create(AgentRecord(agent=agent, directory=spawner.ref(agent_id).directory))
    launch = Launch(agent_id=UNWATCHED, argv=agent_argv("sleep"), env={"PATH": "/usr/bin"}, cwd="/")
    session = await spawner.spawn(launch)
    await session.detach()

    with supervisor.starting(IN_FLIGHT):
        looking = asyncio.create_task(keep_looking(registry, spawner, supervisor, every_s=0.01))
        found = await registry.until(UNWATCHED, {Status.RUNNING}, 30)
        in_flight = registry.get(IN_FLIGHT)

    assert (found.agent.status, found.agent.pid) == (Status.RUNNING, session.identity.pid)
    assert in_flight is not None
    assert in_flight.agent.status is Status.STARTING
    settled = await registry.until(IN_FLIGHT, {Status.FAILED}, 30)
    assert settled.agent.status is Status.FAILED, "a spawn that was given up has no process to wait for"
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking
    again = supervisor.live(UNWATCHED)
    assert again is not None
    await again.stop(interrupt_s=0, terminate_s=0)
    await supervisor.close()
    shutil.rmtree(folder)
