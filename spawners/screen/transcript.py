"""A terminal's whole output as text to read: what a person could have seen by scrolling back."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen
from spawners.screen.replay import Item, Replay

__all__ = ["transcript"]

PIECE = 8192
HISTORY = 10_000
"""Lines the emulator keeps: more than a piece can scroll away."""
REPRINTED = 200
"""How far ahead among the lines given before a reprinted one is looked for."""

SWITCH = re.compile(rb"(?=\x1b\[\?(?:47|1047|1049)[hl])|(?<=\x1b\[3J)")
"""Where output is cut: before the screen is switched, and after the history was erased."""

BEGUN = re.compile(rb"\x1b(?:\[[\x30-\x3f]*)?\Z")
LONGEST = 64
"""Bytes of an unfinished sequence that are looked at: those above are shorter."""


def transcript(
    items: Iterable[Item | None], size: Size, *, since_offset: int = 0, engine: str | None = None
) -> Iterator[str]:
    """Lines without newlines or escape codes.

    A line comes when it scrolls off the screen, what is still on it at the end. A full-screen program
    is shown as it was when it was left. `since_offset`: only what came or changed after that offset
    of the output; the items before it are still needed, to know what was on the screen then.

    While an agent is followed, a None among the items says that nothing has come for a while: then
    the lines above the cursor count as settled and come at once, and again if they change later.
    """
    reader = _Reader(open_screen(size, history_lines=HISTORY, engine=engine))
    silent = since_offset > 0
    for piece in _pieces(_uncut(items), since_offset):
        if piece is None:
            yield from reader.settled() if not silent else ()
            continue
        if silent and (piece.end if isinstance(piece, Gap) else piece.offset) >= since_offset:
            reader.skip()
            silent = False
        lines = reader.take(piece)
        if not silent:
            yield from lines
    if silent:
        reader.skip()
    yield from reader.rest()


def _uncut(items: Iterable[Item | None]) -> Iterator[Item | None]:
    """The terminal's items, with the beginning of a sequence that a chunk ends in put before the next."""
    held: Chunk | None = None
    for item in items:
        if isinstance(item, Chunk):
            if item.stream is not Stream.PTY or not item.data:
                continue
            if held and held.end == item.offset:
                item = Chunk(held.offset, item.stream, held.data + item.data, item.at_ms)  # noqa: PLW2901
            elif held:
                yield held
            found = BEGUN.search(item.data, max(0, len(item.data) - LONGEST))
            at = found.start() if found else len(item.data)
            held = Chunk(item.offset + at, item.stream, item.data[at:], item.at_ms) if found else None
            if at:
                yield Chunk(item.offset, item.stream, item.data[:at], item.at_ms)
            continue
        if held and isinstance(item, Gap):
            yield held
            held = None
        yield item
    if held:
        yield held


def _pieces(items: Iterable[Item | None], since_offset: int) -> Iterator[Item | None]:
    """The items in pieces that end where the reader has to look."""
    for item in items:
        if not isinstance(item, Chunk):
            yield item
            continue
        size = len(item.data)
        cuts = {found.start() for found in SWITCH.finditer(item.data)} | set(range(0, size, PIECE))
        if item.offset < since_offset < item.end:
            cuts.add(since_offset - item.offset)
        for start, end in pairwise(sorted(cuts | {size})):
            yield Chunk(item.offset + start, item.stream, item.data[start:end], item.at_ms)


class _Reader:
    """Reads the lines off one screen, each once."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._replay = Replay(screen)
        self._next = 0
        self._given: dict[int, str] = {}
        """Lines that were given while they were still on the screen, by their number."""
        self._alternate: list[str] = []
        self._before: deque[str] = deque(maxlen=HISTORY)
        self._reprint: deque[str] = deque()
        """After the history was erased: lines given before it, which most such programs print again."""

    def take(self, item: Item) -> list[str]:
        """Feed it, and give what scrolled away or was left by it."""
        lines: list[str] = []
        data = item.data if isinstance(item, Chunk) else b""
        switches = SWITCH.match(data) is not None
        if switches or isinstance(item, Resized):
            lines += self._on_screen() if switches and data[:8].find(b"h") > 0 else self._left()
        self._replay.take(item)
        if data.endswith(b"\x1b[3J"):
            self._reprint = deque(self._before)
        lines += self._scrolled()
        if isinstance(item, Gap):
            lines.append(f"[{item.end - item.offset} bytes of output are missing here]")
        return lines

    def skip(self) -> None:
        """Take all that is there so far as given."""
        self._scrolled()
        self._on_screen()
        self._alternate = self._text() if self._screen.modes.alternate else []

    def settled(self) -> list[str]:
        """The lines above the cursor that were not given yet."""
        if self._screen.modes.alternate:
            return []
        above = self._screen.text()[: self._screen.cursor.row]
        return self._give(self._screen.scrolled, above, keep=True)

    def rest(self) -> list[str]:
        """What is on the screen at the end."""
        return self._left() if self._screen.modes.alternate else self._on_screen()

    def _text(self) -> list[str]:
        lines = self._screen.text()
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _left(self) -> list[str]:
        """The alternate screen, if it is shown and has changed since it was given."""
        if not self._screen.modes.alternate:
            return []
        text = self._text()
        changed = text != self._alternate
        self._alternate = text
        return text if changed else []

    def _on_screen(self) -> list[str]:
        """The lines of the primary screen, if that is shown, that were not given yet."""
        if self._screen.modes.alternate:
            return []
        return self._give(self._screen.scrolled, self._text(), keep=True)

    def _scrolled(self) -> list[str]:
        if self._screen.modes.alternate or self._screen.scrolled <= self._next:
            return []
        lines = self._screen.history(self._next)
        given = self._give(self._screen.scrolled - len(lines), lines, keep=False)
        self._next = self._screen.scrolled
        self._given = {number: line for number, line in self._given.items() if number >= self._next}
        return given

    def _give(self, first: int, lines: list[str], *, keep: bool) -> list[str]:
        given = []
        for number, line in enumerate(lines, first):
            if number < self._next or self._given.get(number) == line:
                continue
            if keep:
                self._given[number] = line
            if not self._is_reprint(line):
                given.append(line)
                self._before.append(line)
        return given

    def _is_reprint(self, line: str) -> bool:
        """Whether the program has printed this line again after it erased the history."""
        for ahead in range(min(REPRINTED, len(self._reprint))):
            if self._reprint[ahead] == line:
                for _ in range(ahead + 1):
                    self._reprint.popleft()
                return True
        return False
