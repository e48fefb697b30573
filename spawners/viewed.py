"""What one viewer is shown of a terminal: the program's own bytes, or paintings of its screen."""

from __future__ import annotations

import asyncio
import re
from functools import cached_property

from spawners.launch import Size
from spawners.screen.paint import Painter, blank, paint
from spawners.screen.queries import QueryFilter
from spawners.screen.unfinished import unfinished
from spawners.shared_emulation import SharedEmulation
from spawners.spool import Spool

__all__ = ["Viewed"]

FRAME_S = 1 / 30
"""Between two paintings for a viewer of another size, who cannot be given the bytes themselves."""

_LEAVING = re.compile(rb"\x1b\[\?(?:\d+;)*(?:1049|1047|47)(?:;\d+)*l")
"""The alternate screen is left: what is behind it was in no painting so far."""


class Viewed:
    """The bytes for one viewer's terminal, out of an emulation that runs only when it is needed."""

    def __init__(self, directory: str, view: Size) -> None:
        self._directory = directory
        self._filter = QueryFilter()
        self._painter = Painter(view)
        self._painted_at = 0.0
        self._covered = False  # whether the last painting was of the alternate screen
        self.uncovered = False
        """Whether the program has shown its other screen again, which this viewer has never been given."""

    @cached_property
    def _emulation(self) -> SharedEmulation:
        return SharedEmulation(self._directory)

    def passed_on(self, data: bytes) -> bytes:
        """The program's next bytes without its queries, for a viewer of the terminal's own size."""
        passed = self._filter.feed(data)
        self.uncovered = self._covered and _LEAVING.search(passed) is not None
        return passed

    async def whole(self, view: Size, size: Size) -> tuple[bytes, int]:
        """The present screen of a terminal of `size`, and the offset of the output that it stands for.

        If `view` is the same size, what is written from there on follows it without a seam.
        """
        if view == size and Spool(self._directory).end == 0:
            return blank(), 0  # a new window's: loading an emulator is a third of what its start takes
        async with self._emulation.caught_up() as emulation:
            self._painter = Painter(view)
            self._covered, self.uncovered = emulation.screen.modes.alternate, False
            if view != size:
                return self._painter.update(emulation.screen), emulation.offset
            self._filter = QueryFilter()
            begun = self._filter.feed(unfinished(emulation.tail))
            return paint(emulation.screen, view) + begun, emulation.offset

    async def changes(self) -> tuple[bytes, int]:
        """As `whole`, only what has changed since, and not too often."""
        now = asyncio.get_running_loop().time()
        if now < self._painted_at + FRAME_S:
            await asyncio.sleep(self._painted_at + FRAME_S - now)
        self._painted_at = asyncio.get_running_loop().time()
        async with self._emulation.caught_up() as emulation:
            return self._painter.update(emulation.screen), emulation.offset

    async def replies(self, first: int, upto: int) -> bytes:
        """See `Emulation.replies`."""
        return await self._emulation.replies(first, upto)
