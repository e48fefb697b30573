"""uvicorn, as the relay and the daemon run it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn

__all__ = ["Server"]

DATE_S = 1.0
"""How old the Date of an answer may be."""


class Server(uvicorn.Server):
    """Leaves the signals to whoever serves, and is ended by `end`.

    uvicorn itself looks ten times a second whether it is to end, which is most of what an idle server does.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Have `serve` return, as soon as the open connections have been seen off."""
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # every tenth, from the first, renews the Date
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await self._ending.wait()
