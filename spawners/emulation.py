"""One agent's terminal emulated from its files, as far as somebody has asked to see it."""

from __future__ import annotations

from spawners.launch import Chunk, Gap, Resized, Size
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen, replay_bytes
from spawners.screen.queries import asks
from spawners.sizes import Sizes, read_sizes
from spawners.spool import Spool

__all__ = ["Emulation"]

TAIL = 4096
"""Bytes remembered of what was fed last: no sequence worth finishing is longer."""

EXACT = 4096
"""Only in the newest bytes is it worth knowing at which byte a reply was caused."""


class Emulation:
    """A screen that follows the output on disk when told to. Blocks while it does (200 MB/s)."""

    def __init__(self, directory: str, *, history_lines: int = 0) -> None:
        self._directory = directory
        self._spool = Spool(directory)
        self._history_lines = history_lines
        self._replies: list[tuple[int, bytes]] = []
        self._answered = 0
        self._begin(0)

    def _begin(self, offset: int) -> None:
        """Start anew with the output from `offset` on, in the size that the terminal had there."""
        sizes = [change.size for change in read_sizes(self._directory) if change.offset <= offset]
        self._screen = open_screen(sizes[-1] if sizes else Size(), history_lines=self._history_lines)
        self._sizes = Sizes(self._directory, offset)
        self.offset = offset
        self.tail = b""
        if offset == self._spool.start:
            self._screen.feed(self._spool.prelude())

    @property
    def screen(self) -> Screen:
        return self._screen

    @property
    def behind(self) -> int:
        """How many bytes of output have not been looked at yet."""
        return max(0, self._spool.end - self.offset)

    def catch_up(self, upto: int | None = None) -> None:
        """Take in what is on disk now, at most up to offset `upto`.

        What an emulator cannot take in within about a second is left out, oldest first.
        """
        end = self._spool.end
        first = max(self._spool.start, end - replay_bytes())
        if self.offset < first and (upto is None or upto > first):
            self._begin(first)
        while upto is None or self.offset < upto:
            limit = {} if upto is None else {"limit": min(256 * 1024, upto - self.offset)}
            pieces = self._spool.read(self.offset, **limit)
            if not pieces:
                break
            for item in self._sizes.merged(pieces):
                self._take(item, exact_from=end - EXACT)
        self._resize_if_behind()

    def _resize_if_behind(self) -> None:
        """A size from which on nothing has been written yet."""
        sizes = read_sizes(self._directory)
        if sizes and sizes[-1].offset <= self.offset and sizes[-1].size != self._screen.size:
            self._screen.resize(sizes[-1].size)

    def _take(self, item: Chunk | Gap | Resized, exact_from: int) -> None:
        if isinstance(item, Resized):
            self._screen.resize(item.size)
        elif isinstance(item, Chunk):
            cut = min(max(0, exact_from - item.offset), len(item.data))
            old, new = item.data[:cut], item.data[cut:]
            self._screen.feed(old)
            self._note_replies(item.offset + cut)
            step = 1 if asks(new) else len(new) or 1
            for at in range(0, len(new), step):
                self._screen.feed(new[at : at + step])
                self._note_replies(item.offset + cut + at + step)
            self.tail = (self.tail + item.data)[-TAIL:]
        self.offset = max(self.offset, item.end)

    def _note_replies(self, at: int) -> None:
        replies = self._screen.replies()
        if replies and at > self._answered:
            self._replies = [*self._replies, (at, replies)][-1024:]

    def replies(self, first: int, upto: int) -> bytes:
        """What the terminal answers to the queries in the output from `first` to `upto`, each once."""
        self.catch_up(upto)
        found = [data for at, data in self._replies if at > first]
        self._answered = max([upto, *(at for at, _ in self._replies)])
        self._replies = []
        return b"".join(found)
