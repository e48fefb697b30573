"""Gets erased secrets out of the database's files soon after they were erased."""

from __future__ import annotations

import asyncio

import structlog

from relay.core.ports import StorageUnavailable, Store

__all__ = ["Scrubber"]

log = structlog.get_logger("relay.scrubbing")


class Scrubber:
    """Collects wishes for `delay_s`, so that a burst of spawns costs one pass."""

    def __init__(self, store: Store, delay_s: float) -> None:
        self._store = store
        self._delay_s = delay_s
        self._wanted = asyncio.Event()

    def wanted(self) -> None:
        """Say that a payload with environment values was just erased."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        # The last run may have been killed between erasing and scrubbing.
        self._wanted.set()
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._delay_s)
            self._wanted.clear()
            try:
                await self._store.scrub()
            except StorageUnavailable as error:
                log.info("not scrubbed yet", error=str(error))
                self._wanted.set()
