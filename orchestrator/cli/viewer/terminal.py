"""The person's own terminal: raw while it shows an agent's, and afterwards as it was."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import time
from collections.abc import Callable

from orchestrator.cli.viewer.own_screen import OwnScreen
from spawners._os import OwnTty
from spawners.launch import MAX_CELLS, Size
from spawners.screen.base import Modes
from spawners.screen.paint import prepare, restore

__all__ = ["Terminal"]

READ = 64 * 1024
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
        self._loop = asyncio.get_running_loop()
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
            self._say(ENTER)

    def leave(self) -> None:
        """Undo that, and whatever the agent has switched on."""
        if self._entered:
            self._entered = False
            self._say(ABORT + LEAVE)
        self._tty.restore()

    def close(self) -> None:
        self.leave()
        for stop in (self._loop.remove_reader, self._loop.remove_writer):
            stop(self._tty.fd)
        self._tty.close()

    def _say(self, data: bytes) -> None:
        """Write at once, outside of the loop; gives up on a terminal that takes nothing."""
        deadline = time.monotonic() + LEAVE_S
        while data and (left := deadline - time.monotonic()) > 0:
            try:
                data = data[os.write(self._tty.fd, data) :]
            except BlockingIOError:
                select.select([], [self._tty.fd], [], left)
            except OSError:
                return

    async def read(self) -> bytes:
        """Return what was typed; nothing once the terminal is gone."""
        while True:
            try:
                return os.read(self._tty.fd, READ)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise

    async def show(self, data: bytes) -> None:
        """Write what the agent's terminal is painted with."""
        await self.write(self._screen.feed(data))

    async def write(self, data: bytes) -> None:
        """Write `data` as it is; returns when the terminal has taken it, or is gone."""
        async with self._writing:
            await self._write(memoryview(data))

    async def _write(self, view: memoryview) -> None:
        while view:
            try:
                view = view[os.write(self._tty.fd, view) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError as error:
                if error.errno == errno.EIO:
                    return
                raise

    async def bell(self) -> None:
        await self.write(BELL)

    async def note(self, text: str) -> None:
        """Show a line of ours on the last row, over what is there; the next painting replaces it."""
        size = self.size
        words = text[: size.columns - 1].encode("utf-8", "replace")
        place = b"\x1b[?2026l\x1b7\x1b[r\x1b[%d;1H\x1b[0;7m" % size.rows
        await self.write(ABORT + place + words + b"\x1b[K\x1b[0m\x1b8")

    async def _ready(self, watch: Callable[..., None], unwatch: Callable[[int], bool]) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        watch(self._tty.fd, lambda: _settle(ready))
        try:
            await ready
        finally:
            unwatch(self._tty.fd)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
