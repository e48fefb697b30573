"""The person's own terminal: raw while it shows an agent's, and afterwards as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.cli.viewer.own_screen import OwnScreen
from spawners._os import OwnTty
from spawners.launch import MAX_CELLS, Size
from spawners.screen.base import Modes
from spawners.screen.paint import prepare, restore

__all__ = ["Terminal"]

BELL = b"\x07"
ABORT = b"\x18\x1b\\"
"""Ends a sequence or string that was cut in the middle."""
ENTER = prepare() + b"\x1b[?1049h\x1b[2J\x1b[H"
LEAVE = restore(Modes(alternate=True))
LEAVE_S = 2.0
"""For the last words to a terminal that does not read; then it is left as it is."""


class Terminal:
    """Use between `enter` and `leave`; the latter never fails and may be repeated."""

    def __init__(self, tty: OwnTty) -> None:
        self._tty = tty
        self._screen = OwnScreen()
        self._writing = asyncio.Lock()
        self._entered = False

    @classmethod
    def open(cls) -> Terminal:
        """The terminal that stdin is connected to. Raises `OSError` if it is none."""
        return cls(OwnTty.open(0))

    @property
    def size(self) -> Size:
        rows, columns = self._tty.size
        if not rows or not columns:
            return Size()
        return Size(min(rows, MAX_CELLS), min(columns, MAX_CELLS))

    @property
    def stale(self) -> bool:
        """Whether the agent's screen has to be painted anew; asking resets it."""
        stale, self._screen.stale = self._screen.stale, False
        return stale

    def enter(self) -> None:
        """Make it raw and go to an empty alternate screen. Raises `OSError`."""
        self._tty.make_raw()
        if not self._entered:
            self._entered = True
            self._screen = OwnScreen()
            self._tty.say(ENTER, LEAVE_S)

    def leave(self) -> None:
        """Undo that, and whatever the agent has switched on."""
        if self._entered:
            self._entered = False
            self._tty.say(ABORT + LEAVE, LEAVE_S)
        self._tty.restore()

    def close(self) -> None:
        self.leave()
        self._tty.close()

    def on_resize(self, tell: Callable[[], None]) -> None:
        """Call `tell` when it has another size, where no signal says so."""
        self._tty.on_resize(tell)

    async def read(self) -> bytes:
        """Return what was typed; nothing once the terminal is gone."""
        return await self._tty.read()

    async def show(self, data: bytes) -> None:
        """Write what the agent's terminal is painted with."""
        await self.write(self._screen.feed(data))

    async def write(self, data: bytes) -> None:
        """Write `data` as it is; returns when the terminal has taken it, or is gone."""
        async with self._writing:
            await self._tty.write(data)

    async def bell(self) -> None:
        await self.write(BELL)

    async def note(self, text: str) -> None:
        """Show a line of ours on the last row, over what is there; the next painting replaces it."""
        size = self.size
        words = text[: size.columns - 1].encode("utf-8", "replace")
        place = b"\x1b[?2026l\x1b7\x1b[r\x1b[%d;1H\x1b[0;7m" % size.rows
        await self.write(ABORT + place + words + b"\x1b[K\x1b[0m\x1b8")
