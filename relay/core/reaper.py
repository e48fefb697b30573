"""Turns hosts offline whose lease ran out, and writes down heartbeats. Nothing else follows from it:
what their agents do is unknown, not over."""

from __future__ import annotations

import asyncio
import time

import structlog

from relay.core.changes import Changes, host_topic
from relay.core.leases import Leases
from relay.core.ports import StorageUnavailable
from relay.core.queue import Queue
from relay.core.tokens import Tokens
from relay.wire.base import now_ms
from relay.wire.events import EventType

__all__ = ["Reaper"]

TICK_S = 1.0
PAUSE_S = 1.0
"""A wake-up this late means that the relay itself stood still and heard nobody meanwhile."""

log = structlog.get_logger("relay.reaper")


class Reaper:
    """`last_run` is monotonic; health reports when it gets old."""

    def __init__(
        self, changes: Changes, leases: Leases, queue: Queue, tokens: Tokens, flush_s: float
    ) -> None:
        self._changes = changes
        self._leases = leases
        self._queue = queue
        self._tokens = tokens
        self._flush_s = flush_s
        self.last_run = time.monotonic()

    async def run(self) -> None:
        """Work until cancelled."""
        flushed = time.monotonic()
        while True:
            planned = time.monotonic() + self._delay()
            await asyncio.sleep(planned - time.monotonic())
            now = time.monotonic()
            if now - planned > PAUSE_S:
                log.warning("the relay stood still; leases are extended", seconds=round(now - planned, 1))
                self._leases.extend(now - planned)
            try:
                await self._expire()
                if now - flushed >= self._flush_s:
                    flushed = now
                    await self.flush()
            except StorageUnavailable as error:
                log.warning("not stored yet", error=str(error))
            self.last_run = time.monotonic()

    def _delay(self) -> float:
        deadline = self._leases.next_deadline()
        until = TICK_S if deadline is None else deadline - time.monotonic()
        return min(TICK_S, max(0.02, until))

    async def _expire(self) -> None:
        if not self._leases.expired():
            return
        async with self._changes.begin() as change:
            gone = self._leases.expired()
            now = now_ms()
            turned = [lease.record.turned(online=False, at=now) for lease in gone]
            for record in turned:
                await change.tx.hosts.put(record)
                await self._queue.take_back(change, record.id)
                change.host_event(EventType.ORCHESTRATOR_OFFLINE, record.id, lastSeen=record.last_seen)
                change.wake(host_topic(record.id))
        for lease, record in zip(gone, turned, strict=True):
            lease.record = record
        self._queue.poke()

    async def flush(self) -> None:
        """Write down what heartbeats and requests have changed in memory only."""
        dirty = self._leases.take_dirty()
        if dirty:
            async with self._changes.begin() as change:
                await change.tx.hosts.beats(dirty)
        await self._tokens.flush()
