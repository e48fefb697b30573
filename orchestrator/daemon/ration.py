"""Holds agents to their memory where no cgroup does: looks about once a second, and ends those above it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.agents.registry import Registry
from orchestrator.daemon.supervise import Supervisor
from relay.wire.agents import Status
from relay.wire.base import now_ms
from spawners.errors import SessionEnded
from spawners.launch import SessionRef
from spawners.limits import Meter, is_enforced, size

__all__ = ["ration"]

log = structlog.get_logger()

EVERY_S = 1.0
"""A program can fill memory at a GiB a second, and a look at a thousand processes takes 20 ms."""


async def ration(registry: Registry, supervisor: Supervisor, every_s: float = EVERY_S) -> None:
    """End, without end, every agent whose tree uses more memory than it may.

    Like the kernel it gives no time for a farewell. An agent that is being stopped anyway is only hurried.
    """
    while True:
        await asyncio.sleep(every_s)
        limited = [record for record in registry.active if _is_to_be_watched(record)]
        if not limited:
            continue
        try:
            for record, used in await asyncio.to_thread(_above, limited):
                _end(registry, supervisor, record, used)
        except Exception:
            log.exception("ration.failed")


def _is_to_be_watched(record: AgentRecord) -> bool:
    agent = record.agent
    if agent.memory_bytes is None or agent.pid is None:
        return False
    return agent.status in (Status.RUNNING, Status.STOPPING) and not (record.stop and record.stop.kill)


def _above(records: Iterable[AgentRecord]) -> list[tuple[AgentRecord, int]]:
    """Return those that use more than they may, and how much. Blocks."""
    meter: Meter | None = None
    found = []
    for record in records:
        agent, ref = record.agent, SessionRef(record.id, record.directory)
        if agent.memory_bytes is None or agent.pid is None or is_enforced(ref, agent.pid, agent.memory_bytes):
            continue
        meter = meter or Meter()
        used = meter.memory_used(ref, agent.memory_bytes)
        if used > agent.memory_bytes:
            found.append((record, used))
    return found


def _end(registry: Registry, supervisor: Supervisor, record: AgentRecord, used: int) -> None:
    allowed = size(record.agent.memory_bytes or 0)
    evidence = f"watched: the tree used {size(used)} of {allowed} allowed"
    log.warning("agent.above_its_memory", agent=record.id, used=used, allowed=record.agent.memory_bytes)
    now = registry.get(record.id)
    if now is None:
        return
    intent = StopIntent(by="system", at=now_ms(), grace_s=0.0, kill=True, oom=evidence)
    if now.stop is not None:  # somebody has stopped it before: that is why it ends
        intent = StopIntent(by=now.stop.by, at=now.stop.at, grace_s=0.0, kill=True)
    with contextlib.suppress(SessionEnded):
        supervisor.stop(record.id, intent)
