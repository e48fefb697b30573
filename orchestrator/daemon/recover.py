"""At the daemon's start: finds every agent that an earlier one left; it looks, and never spawns again."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.daemon.supervise import Supervisor
from relay.wire.agents import CauseKind, ManagedAgent, Mode, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from spawners.client import KeeperSpawner
from spawners.directory import AgentDirectory
from spawners.errors import SessionLost, SpawnerError, SpawnFailed
from spawners.launch import SessionRef

__all__ = ["Recovered", "keep_looking", "recover"]

log = structlog.get_logger()

AT_ONCE = 64
"""Keepers spoken to side by side; each answers in well under a millisecond."""

LOOK_AGAIN_S = 15.0

START_WITHIN_MS = 60_000
"""How old an accepted spawn that nothing ever ran for may be to be started now, for the first time.

The daemon fell in the few milliseconds between writing it down and starting it; the caller still
waits. Later it would come as a surprise, so it is failed instead.
"""


KILLED_BEFORE_START = "the daemon was killed before the program was started: nothing ran, so spawn it again"


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many agents run on, had ended meanwhile, or are gone."""

    running: int
    ended: int
    lost: int


async def recover(registry: Registry, spawner: KeeperSpawner, supervisor: Supervisor) -> Recovered:
    """Settle every record that has not ended, and adopt directories that no record speaks of."""
    _adopt(registry, spawner)
    before = registry.active + [record for record in registry if _may_be_found(record)]
    await _settle_all(before, registry, spawner, supervisor)
    statuses = [found.agent.status for record in before if (found := registry.get(record.id))]
    lost = statuses.count(Status.LOST)
    running = sum(status in (Status.RUNNING, Status.STOPPING) for status in statuses)
    return Recovered(running, len(statuses) - running - lost, lost)


async def keep_looking(
    registry: Registry, spawner: KeeperSpawner, supervisor: Supervisor, every_s: float = LOOK_AGAIN_S
) -> None:
    """Settle, without end, agents that nobody watches: their keeper was too busy to answer before, say."""
    while True:
        await asyncio.sleep(every_s)
        await _settle_all(supervisor.unwatched(), registry, spawner, supervisor)


def _may_be_found(record: AgentRecord) -> bool:
    """Whether evidence of a lost agent may still turn up: its directory was not there when we looked."""
    cause = record.agent.cause
    return record.agent.status is Status.LOST and cause is not None and cause.kind is CauseKind.UNKNOWN


async def _settle_all(
    records: list[AgentRecord], registry: Registry, spawner: KeeperSpawner, supervisor: Supervisor
) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def settle(record: AgentRecord) -> None:
        async with gate:
            try:
                await _settle(record, registry, spawner, supervisor)
            except (SpawnerError, ApiError) as error:
                log.error("agent.not_settled", agent=record.id, error=str(error), again_s=LOOK_AGAIN_S)

    await asyncio.gather(*(settle(record) for record in records))


async def _settle(
    record: AgentRecord, registry: Registry, spawner: KeeperSpawner, supervisor: Supervisor
) -> None:
    ref = SessionRef(record.id, record.directory)
    agent = record.agent
    begun = agent.status is Status.STARTING or (agent.status is Status.STOPPING and agent.pid is None)
    if begun and not os.path.isdir(record.directory):
        supervisor.never_ran(record.id, SpawnFailed(KILLED_BEFORE_START))
        return
    try:
        session = await spawner.reattach(ref)
    except SessionLost as loss:
        if record.agent.status is Status.LOST:
            return
        if loss.kind == "never_started" and await _start_late(record, registry, spawner, supervisor, ref):
            return
        await supervisor.lost(record.id, loss)
    else:
        supervisor.took(record.id, session)


async def _start_late(
    record: AgentRecord, registry: Registry, spawner: KeeperSpawner, supervisor: Supervisor, ref: SessionRef
) -> bool:
    if record.stop is not None or now_ms() - record.agent.updated_at > START_WITHIN_MS:
        return False
    try:
        session = await spawner.resume(ref)
    except SessionLost:
        return False
    except SpawnFailed as failure:
        supervisor.never_ran(record.id, failure)
        return True
    supervisor.took(record.id, session)
    return True


def _adopt(registry: Registry, spawner: KeeperSpawner) -> None:
    """Make records for agents whose directory is all that is left of them: the database was lost."""
    for ref in spawner.refs():
        if registry.get(ref.agent_id) is not None:
            continue
        directory = AgentDirectory(ref.directory)
        spec, child = directory.spec(), directory.child()
        if spec is None:
            continue
        log.warning("agent.adopted", agent=ref.agent_id)
        agent = ManagedAgent(
            id=ref.agent_id,
            status=Status.STARTING,
            provider="command",
            mode=Mode.HEADLESS,
            created_at=child.started_ms if child else now_ms(),
            cwd=spec.get("cwd"),
            title=" ".join(spec.get("argv", ()))[:200],
            requested_by="unknown",
            attention="found on disk without a record: the host's database was lost",
        )
        registry.create(AgentRecord(agent=agent, directory=ref.directory, caller="recovered"))
