"""An emulation that several may ask at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from spawners.emulation import Emulation

__all__ = ["SharedEmulation"]

INLINE = 1024 * 1024
"""Bytes that are emulated on the event loop (5 ms); more goes to a thread."""

Result = TypeVar("Result")


class SharedEmulation:
    """One after the other, and long work in a thread: a screen is never used by two at once."""

    def __init__(self, directory: str) -> None:
        self._emulation = Emulation(directory)
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def caught_up(self) -> AsyncIterator[Emulation]:
        """The emulation of all output so far, for as long as the block runs."""
        async with self._lock:
            await self._run(self._emulation.catch_up)
            yield self._emulation

    async def replies(self, first: int, upto: int) -> bytes:
        """See `Emulation.replies`."""
        async with self._lock:
            return await self._run(lambda: self._emulation.replies(first, upto))

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._emulation.behind <= INLINE:
            return work()
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            await asyncio.wait({thread})  # it goes on with the screen: nobody else may have it before
            raise
