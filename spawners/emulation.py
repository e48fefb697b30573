"""One agent's terminal emulated from its files, as far as somebody has asked to see it."""

from __future__ import annotations

from collections import deque

from spawners.launch import Chunk, Gap, Resized, Size
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen, replay_bytes
from spawners.screen.queries import QUERY
from spawners.screen.unfinished import LONGEST, unfinished
from spawners.sizes import Sizes, read_sizes
from spawners.spool import Spool

__all__ = ["Emulation"]

MOST_REPLIES = 1024
"""Replies kept that nobody has asked for: to queries that were answered before anybody emulated."""


class Emulation:
    """A screen that follows the output on disk when told to. Blocks while it does (200 MB/s)."""

    def __init__(self, directory: str, *, history_lines: int = 0) -> None:
        self._directory = directory
        self._spool = Spool(directory)
        self._history_lines = history_lines
        self._replies: deque[tuple[int, bytes]] = deque(maxlen=MOST_REPLIES)
        self._begin(0)

    def _begin(self, offset: int) -> None:
        """Start anew with the output from `offset` on, in the size that the terminal had there."""
        sizes = [change.size for change in read_sizes(self._directory) if change.offset <= offset]
        self._screen = open_screen(sizes[-1] if sizes else Size(), history_lines=self._history_lines)
        self._sizes = Sizes(self._directory, offset)
        self.offset = offset
        self.tail = self._spool.prelude() if offset == self._spool.start else b""
        self._screen.feed(self.tail)

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
                self._take(item)
        self._resize_if_behind()

    def _resize_if_behind(self) -> None:
        """A size from which on nothing has been written yet."""
        sizes = read_sizes(self._directory)
        if sizes and sizes[-1].offset <= self.offset and sizes[-1].size != self._screen.size:
            self._screen.resize(sizes[-1].size)

    def _take(self, item: Chunk | Gap | Resized) -> None:
        if isinstance(item, Resized):
            self._screen.resize(item.size)
        elif isinstance(item, Chunk):
            begun = unfinished(self.tail)
            at = 0
            for query in deque(QUERY.finditer(begun + item.data), maxlen=MOST_REPLIES):
                end = query.end() - len(begun)
                self._feed(item, at, end)
                at = end
            self._feed(item, at, len(item.data))
            self.tail = (self.tail + item.data)[-LONGEST:]
        self.offset = max(self.offset, item.end)

    def _feed(self, item: Chunk, start: int, end: int) -> None:
        """A part of `item`. It ends where a query ends: what is replied to it is then known to be."""
        self._screen.feed(item.data[start:end])
        replies = self._screen.replies()
        if replies:
            self._replies.append((item.offset + end, replies))

    def replies(self, first: int, upto: int) -> bytes:
        """What the terminal answers to the queries in the output from `first` to `upto`, each once."""
        self.catch_up(upto)
        found = [data for at, data in self._replies if first < at <= upto]
        later = [(at, data) for at, data in self._replies if at > upto]
        self._replies = deque(later, maxlen=MOST_REPLIES)
        return b"".join(found)
