"""One viewer of an agent's terminal, straight to its keeper: no daemon is needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from spawners.directory import AgentDirectory, exit_from_json
from spawners.errors import NoTerminal, SessionEnded, SpawnerError
from spawners.frames import MAX_INPUT, Kind
from spawners.launch import Chunk, Exit, Resized, Size, Viewer
from spawners.line import Line, LineLost, Refused, dial
from spawners.spool import Spool
from spawners.viewed import Viewed

__all__ = ["Attachment"]

HELLO_S = 5.0
EXIT_S = 5.0
"""The exit record follows the end of the output within milliseconds, or a sweep of its tree."""

SKIP = 1024 * 1024
"""Bytes that a viewer may be behind before it gets a fresh screen in their place: more than a terminal
buffers, less than anybody would want to watch."""


class Attachment:
    """What a viewer's terminal must be given, and what its person types.

    Reads at its own pace: a viewer that is too slow skips to a fresh screen, the agent and the other
    viewers never wait. Queries to the terminal have been taken out: they are answered elsewhere, or
    here with `responds`, which a viewer sets that may be the only one there is. A viewer whose terminal
    has the size of the agent's gets its bytes; any other one gets paintings of what fits.
    """

    def __init__(self, directory: str, viewer: Viewer, line: Line) -> None:
        self._directory = directory
        self._viewer = viewer
        self._line = line
        self._spool = Spool(directory)
        self._viewed = Viewed(directory, viewer.size)
        self._size = self._told = Size()
        self._fresh = True
        self._final = False
        self._end = 0
        self._offset = 0
        self._data: list[tuple[int, bytes]] = []
        self._moved = asyncio.Event()
        self._closed = False
        self._answering: set[asyncio.Task[None]] = set()
        self.exit: Exit | None = None
        """How the program ended, once the iteration has ended because of that."""

    @classmethod
    async def open(cls, directory: str, viewer: Viewer, *, responds: bool = False) -> Attachment:
        """Attach to the agent whose files are in `directory`.

        Raises `NoTerminal`, `SessionEnded` for one that has ended, and `SpawnerError` if its keeper
        cannot be reached.
        """
        line, hello = await _reach(directory)
        try:
            if hello["exit"] is not None:
                raise SessionEnded("the program has ended")
            if not hello.get("terminal"):
                raise NoTerminal("this agent runs on pipes and has no terminal; read its logs instead")
            attachment = cls(directory, viewer, line)
            line.own(attachment)
            await attachment._enter(responds)
        except BaseException:
            line.close()
            raise
        return attachment

    async def _enter(self, responds: bool) -> None:
        size = self._viewer.size
        try:
            state = await self._line.request(
                Kind.ATTACH,
                name=self._viewer.name,
                rows=size.rows,
                columns=size.columns,
                readOnly=self._viewer.read_only,
            )
        except Refused as refused:
            raise SpawnerError(str(refused)) from refused
        self._size = self._told = Size(state["rows"], state["columns"])
        if responds:
            self._line.tell(Kind.RESPOND)

    @property
    def size(self) -> Size:
        """The size of the agent's terminal now."""
        return self._size

    # -- what is to be shown

    async def __aiter__(self) -> AsyncIterator[bytes | Resized]:
        """Yield bytes to write to the viewer's terminal, the present screen first, and a `Resized`
        whenever the size of the agent's terminal has changed.

        Ends when the program has ended and all was yielded, or after `close`. Raises `SpawnerError` if
        the keeper is gone without that.
        """
        while not self._closed:
            if self._told != self._size:
                self._told, self._fresh = self._size, True
                yield Resized(self._offset, self._size)
            for piece in await self._next():
                yield piece
            if self._fresh or self._told != self._size:
                continue
            if self._ready():
                await asyncio.sleep(0)
            elif self._final:
                break
            else:
                await self._more()
        if not self._closed:
            await self._see_exit()

    def _ready(self) -> bool:
        return bool(self._data) or self._end > self._offset

    async def _next(self) -> list[bytes]:
        """What the viewer is to be given now."""
        if self._fresh:
            self._fresh = False
            return [self._moved_on(*await self._viewed.whole(self._viewer.size, self._size))]
        if self._viewer.size == self._size:
            pieces = self._pieces()
            self._fresh = self._fresh or self._end - self._offset > SKIP
            return [piece for piece in pieces if piece]
        return [self._moved_on(*await self._viewed.changes())] if self._ready() else []

    def _moved_on(self, painted: bytes, offset: int) -> bytes:
        """Pass by the output that is in what was painted."""
        self._data = [(at, data) for at, data in self._data if at >= offset]
        self._offset = max(self._offset, offset)
        self._end = max(self._end, self._offset)
        return painted

    async def _more(self) -> None:
        """Wait until there is output, another size, a viewer's wish, or the end of it all."""
        self._moved.clear()
        self._line.tell_offset(Kind.WATCH, self._offset)
        if self._line.up and not self._closed:
            await self._moved.wait()
        if not self._line.up and not self._final:
            # The keeper has gone. What it left on disk is still to be shown, if it said how it ended.
            self._final, self._end = True, max(self._end, self._spool.end)

    def _pieces(self) -> list[bytes]:
        """What has come since, without the queries in it."""
        pieces = []
        for offset, data in self._data:
            if offset == self._offset:
                pieces.append(self._passed_on(data))
                self._offset += len(data)
        self._data.clear()
        if self._end > self._offset:
            stored = self._spool.read(self._offset)
            for item in stored:
                if isinstance(item, Chunk):
                    pieces.append(self._passed_on(item.data))
                else:
                    self._fresh = True
                self._offset = item.end
            if not stored:  # it was never stored (full disk), or is gone already
                self._offset, self._fresh = self._end, True
        return pieces

    def _passed_on(self, data: bytes) -> bytes:
        passed = self._viewed.passed_on(data)
        self._fresh = self._fresh or self._viewed.uncovered
        return passed

    async def _see_exit(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_S):
                while self.exit is None and self._line.up:
                    self._moved.clear()
                    await self._moved.wait()
        self.exit = self.exit or AgentDirectory(self._directory).exit()
        if self.exit is None:
            raise SpawnerError("the agent's keeper is gone, and has not said how the agent ended")

    # -- what the viewer does

    async def type(self, data: bytes) -> None:
        """Put a person's keys into the program's input; returns when the kernel has taken them.

        Raises `SessionEnded`, and `SpawnerError` for a read-only viewer.
        """
        try:
            for at in range(0, len(data), MAX_INPUT):
                await self._line.send_keys(data[at : at + MAX_INPUT], None, automatic=False)
        except Refused as refused:
            raise SpawnerError(str(refused)) from refused
        except LineLost as lost:
            raise SessionEnded("the program has ended") from lost

    async def resize(self, size: Size) -> None:
        """The viewer's own terminal has this size now. It gets a fresh screen, also if that is no other
        size; then nothing else changes."""
        if size == self._viewer.size:
            self._fresh = True
            self._moved.set()
            return
        self._viewer = Viewer(self._viewer.name, size, self._viewer.read_only)
        try:
            state = await self._line.request(Kind.RESIZE, rows=size.rows, columns=size.columns)
        except (SpawnerError, TimeoutError):
            return  # it ends, or does not answer: the iteration will tell
        self._size = Size(state["rows"], state["columns"])
        self._fresh = True
        self._moved.set()

    async def close(self) -> None:
        """Detach. The program goes on."""
        self._closed = True
        self._line.close()
        self._moved.set()

    # -- what the keeper says (LineOwner)

    def on_hello(self, hello: dict[str, Any]) -> None:
        """Nothing a viewer needs to know."""

    def on_data(self, offset: int, data: bytes) -> None:
        self._data.append((offset, data))
        self._moved.set()

    def on_grew(self, end: int, final: bool) -> None:
        self._end, self._final = max(self._end, end), self._final or final
        self._moved.set()

    def on_sized(self, rows: int, columns: int) -> None:
        self._size = Size(rows, columns)
        self._moved.set()

    def on_asked(self, first: int, upto: int) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(first, upto))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, first: int, upto: int) -> None:
        self._line.answer(upto, await self._viewed.replies(first, upto))

    def on_exit(self, record: dict[str, Any]) -> None:
        self.exit = exit_from_json(record)
        self._moved.set()

    def on_lost(self) -> None:
        self._moved.set()


async def _reach(directory: str) -> tuple[Line, dict[str, Any]]:
    """A line to the keeper of this directory, and what it said first."""
    files = AgentDirectory(directory)
    spec = files.spec()
    if spec is None:
        raise SpawnerError(f"there is no agent in {directory}")
    if not files.is_locked():
        raise SessionEnded("the program has ended")
    try:
        line = await dial(spec["socket"])
        try:
            async with asyncio.timeout(HELLO_S):
                return line, await line.hello
        except BaseException:
            line.close()
            raise
    except (OSError, LineLost, TimeoutError) as error:
        if files.exit() is not None:
            raise SessionEnded("the program has ended") from error
        why = str(error) or "no word from it"
        raise SpawnerError(f"the agent's keeper does not answer: {why}") from error
