"""Drops what is old: ended agents and settled commands. Events are bounded as they are written."""

from __future__ import annotations

import asyncio

import structlog

from relay.core.ports import StorageUnavailable, Store
from relay.core.tokens import Tokens
from relay.wire.base import now_ms

__all__ = ["Retention"]

COMMANDS_KEPT_MS = 24 * 3600 * 1000
"""How long a settled command still answers a repeated acknowledgement, and an expired one waits
for the answer of a host that was cut off."""
BATCH = 500

log = structlog.get_logger("relay.retention")


class Retention:
    def __init__(self, store: Store, tokens: Tokens, keep_ms: int, every_s: float) -> None:
        self._store = store
        self._tokens = tokens
        self._keep_ms = keep_ms
        self._every_s = every_s

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.prune()
            except StorageUnavailable as error:
                log.warning("nothing pruned", error=str(error))
            await asyncio.sleep(self._every_s)

    async def prune(self) -> None:
        """Delete, in small transactions, what has been over for longer than it is to be kept."""
        now = now_ms()
        async with self._store.writing() as transaction:
            await transaction.commands.prune(now - COMMANDS_KEPT_MS, now - COMMANDS_KEPT_MS)
        while True:
            async with self._store.writing() as transaction:
                ids = await transaction.agents.ended_before(now - self._keep_ms, BATCH)
                await transaction.agents.delete(ids)
            if not ids:
                return
            await self._tokens.forget_agents(ids)
            log.info("pruned", agents=len(ids))
