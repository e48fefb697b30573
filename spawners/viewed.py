"""What one viewer is shown of a terminal: the program's own bytes, or paintings of its screen."""

from __future__ import annotations

import asyncio
import re

from spawners.emulation import Emulation
from spawners.launch import Size
from spawners.screen.paint import Painter, paint
from spawners.screen.queries import QueryFilter
from spawners.screen.unfinished import unfinished

__all__ = ["Viewed"]

INLINE = 1024 * 1024
"""Bytes that are emulated on the event loop (5 ms); more goes to a thread."""
FRAME_S = 1 / 30
"""Between two paintings for a viewer of another size, who cannot be given the bytes themselves."""

_LEAVING = re.compile(rb"\x1b\[\?(?:\d+;)*(?:1049|1047|47)(?:;\d+)*l")
"""The alternate screen is left: what is behind it was in no painting so far."""


class Viewed:
    """The bytes for one viewer's terminal, out of an emulation that runs only when it is needed."""

    def __init__(self, directory: str, view: Size) -> None:
        self._emulation = Emulation(directory)
        self._lock = asyncio.Lock()  # a thread may be feeding the emulation
        self._filter = QueryFilter()
        self._painter = Painter(view)
        self._painted_at = 0.0
        self._covered = False  # whether the last painting was of the alternate screen
        self.uncovered = False
        """Whether the program has shown its other screen again, which this viewer has never been given."""

    def passed_on(self, data: bytes) -> bytes:
        """The program's next bytes without its queries, for a viewer of the terminal's own size."""
        passed = self._filter.feed(data)
        self.uncovered = self._covered and _LEAVING.search(passed) is not None
        return passed

    async def whole(self, view: Size, size: Size) -> tuple[bytes, int]:
        """The present screen of a terminal of `size`, and the offset of the output that it stands for.

        If `view` is the same size, what is written from there on follows it without a seam.
        """
        async with self._lock:
            await self._catch_up()
            self._painter = Painter(view)
            self._covered, self.uncovered = self._emulation.screen.modes.alternate, False
            if view != size:
                return self._painter.update(self._emulation.screen), self._emulation.offset
            self._filter = QueryFilter()
            begun = self._filter.feed(unfinished(self._emulation.tail))
            return paint(self._emulation.screen, view) + begun, self._emulation.offset

    async def changes(self) -> tuple[bytes, int]:
        """As `whole`, only what has changed since, and not too often."""
        now = asyncio.get_running_loop().time()
        if now < self._painted_at + FRAME_S:
            await asyncio.sleep(self._painted_at + FRAME_S - now)
        self._painted_at = asyncio.get_running_loop().time()
        async with self._lock:
            await self._catch_up()
            return self._painter.update(self._emulation.screen), self._emulation.offset

    async def replies(self, first: int, upto: int) -> bytes:
        """See `Emulation.replies`."""
        async with self._lock:
            if self._emulation.behind > INLINE:
                return await asyncio.to_thread(self._emulation.replies, first, upto)
            return self._emulation.replies(first, upto)

    async def _catch_up(self) -> None:
        if self._emulation.behind > INLINE:
            await asyncio.to_thread(self._emulation.catch_up)
        else:
            self._emulation.catch_up()
