"""Deletes what is left of ended agents once it is old or there is too much of it. Never a running one."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.config import Keep
from orchestrator.store.commands import CommandLog
from relay.wire.base import now_ms
from spawners.errors import SpawnerError
from spawners.launch import SessionRef
from spawners.session import Spawner

__all__ = ["forget", "housekeep", "sweep"]

log = structlog.get_logger()

EVERY_S = 600.0
OUTBOX_MAX = 20_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def housekeep(
    registry: Registry, spawner: Spawner, commands: CommandLog, keep: Keep, plans: Callable[[str], str]
) -> None:
    """Sweep now and every ten minutes, without end."""
    while True:
        try:
            await sweep(registry, spawner, keep, plans)
            commands.prune()
            registry.outbox.trim(OUTBOX_MAX)
        except Exception:
            log.exception("housekeeping.failed")
        await asyncio.sleep(EVERY_S)


async def sweep(registry: Registry, spawner: Spawner, keep: Keep, plans: Callable[[str], str]) -> None:
    """Delete records older than `keep.records_days`, and outputs by age and total size, oldest first."""
    now = now_ms()
    ended = sorted(
        (record for record in registry if record.agent.ended),
        key=lambda record: -(record.agent.ended_at or 0),
    )
    total = 0
    for record in ended:
        age_ms = now - (record.agent.ended_at or record.agent.created_at)
        if age_ms > keep.records_days * DAY_MS:
            await forget(registry, spawner, record, plans)
            continue
        if record.spool_pruned:
            continue
        size = await asyncio.to_thread(_size, record.directory)
        total += size
        if age_ms > keep.spools_hours * HOUR_MS or total > keep.spools_bytes:
            if await _delete_output(spawner, record):
                registry.note(record.id, spool_pruned=True)
            total -= size


async def forget(
    registry: Registry, spawner: Spawner, record: AgentRecord, plans: Callable[[str], str]
) -> None:
    """Delete an ended agent's output and its record. Raises `ApiError` `conflict` for a running one."""
    if record.agent.ended:
        await _delete_output(spawner, record)
        shutil.rmtree(plans(record.id), ignore_errors=True)
    registry.forget(record.id)


async def _delete_output(spawner: Spawner, record: AgentRecord) -> bool:
    try:
        await spawner.forget(SessionRef(record.id, record.directory))
    except SpawnerError as error:
        log.warning("output.not_deleted", agent=record.id, why=str(error))
        return False
    return True


def _size(directory: str) -> int:
    try:
        with os.scandir(directory) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return 0
