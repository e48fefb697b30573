"""Ends agents that do nothing for longer than they may, and sees those whose process stands still."""

from __future__ import annotations

import asyncio

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.daemon.limits import Limits
from orchestrator.daemon.observations import Observation, Observations
from relay.wire.agents import Activity, Status
from relay.wire.base import now_ms
from spawners.spool import Spool
from spawners.tree import is_halted

__all__ = ["end_idle", "see_halted"]

log = structlog.get_logger()

EVERY_S = 1.0
HALTED_EVERY_S = 5.0
"""A look at five hundred processes takes ten milliseconds."""

HELD = (Activity.BLOCKED, Activity.WAITING_INPUT)
"""It waits for a person, or for a limit of its provider's: that is not its own idleness."""


async def end_idle(
    registry: Registry, observations: Observations, limits: Limits, every_s: float = EVERY_S
) -> None:
    """End, without end, every agent that has given no sign of work for its idle timeout.

    What it writes and what its CLI says are signs, whenever that was: a new daemon goes on counting. What
    its terminal shows is not, but may show that it waits for a person.
    """
    while True:
        await asyncio.sleep(every_s)
        for record in registry.active:
            timeout_ms = record.agent.idle_timeout_ms
            observation = observations.get(record.id)
            if timeout_ms is None or observation is None or record.agent.status is not Status.RUNNING:
                continue
            if record.agent.activity not in HELD and now_ms() - _sign_ms(record, observation) >= timeout_ms:
                limits.idle(record.id, timeout_ms)


def _sign_ms(record: AgentRecord, observation: Observation) -> int:
    agent = record.agent
    known = max(agent.started_at or agent.created_at, agent.activity_at or 0, observation.observer.moved_ms)
    if now_ms() - known < (agent.idle_timeout_ms or 0):
        return known
    return max(known, Spool(record.directory).written_ms)


async def see_halted(registry: Registry, observations: Observations, every_s: float = HALTED_EVERY_S) -> None:
    """See, without end, which agents' own processes are stopped (SIGSTOP): whatever they say, they wait."""
    halted: set[str] = set()
    while True:
        await asyncio.sleep(every_s)
        watched = [(r.id, found) for r in registry.active if (found := observations.get(r.id)) is not None]
        try:
            now = await asyncio.to_thread(
                lambda: {name for name, found in watched if is_halted(found.session.identity)}  # noqa: B023
            )
        except Exception:
            log.exception("halted.not_seen")
            continue
        for agent_id, found in watched:
            if agent_id in now and agent_id not in halted:
                words = "its process is stopped (SIGSTOP): SIGCONT lets it go on"
                found.observer.saw("process", Activity.BLOCKED, now_ms(), words)
            elif agent_id in halted and agent_id not in now:
                found.observer.saw("process", None, now_ms())
        halted = now
