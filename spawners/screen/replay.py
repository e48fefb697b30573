"""Playing a terminal's recorded output into an emulator: bytes and resizes at the points where they were."""

from __future__ import annotations

from collections.abc import Iterable

from spawners.launch import Chunk, Gap, Resized, Stream
from spawners.screen.base import Screen

__all__ = ["Item", "Replay"]

Item = Chunk | Gap | Resized


class Replay:
    """Feeds a screen, in the order of the output.

    After a gap it goes on with what follows: the screen may be wrong until the program repaints it.
    What was fed already is passed over, so that overlapping pieces do no harm.
    """

    def __init__(self, screen: Screen, offset: int = 0) -> None:
        self.screen = screen
        self.offset = offset
        """Behind the last byte fed."""
        self.missed = 0
        """Bytes that gaps left out."""

    def feed(self, items: Iterable[Item]) -> None:
        for item in items:
            self.take(item)

    def take(self, item: Item) -> None:
        """One item; output of a stream other than the PTY moves the offset only."""
        if isinstance(item, Resized):
            if item.size.valid and item.size != self.screen.size:
                self.screen.resize(item.size)
            return
        if isinstance(item, Chunk) and item.stream is Stream.PTY and item.end > self.offset:
            self._missing(item.offset)
            self.screen.feed(item.data[max(0, self.offset - item.offset) :])
        elif isinstance(item, Gap):
            self._missing(item.end)
        self.offset = max(self.offset, item.end)

    def _missing(self, offset: int) -> None:
        """Nothing is known up to `offset`: end the sequence that may have been cut off there."""
        if offset > self.offset:
            self.missed += offset - self.offset
            self.screen.feed(b"\x18")
            self.offset = offset
