"""Which size an agent's terminal had at which point of its output."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from spawners import _os
from spawners.launch import Chunk, Gap, Resized, Size

__all__ = ["Sizes", "read_sizes"]

_RECORD = struct.Struct("!QQHH")


def read_sizes(directory: str) -> list[Resized]:
    """Every size that the terminal had, in order; empty for a program on pipes.

    The file `sizes` holds records of u64 offset, u64 milliseconds, u16 rows, u16 columns. Of very many
    only the newer half is kept; the first one then counts for all that was before it.
    """
    try:
        with open(f"{directory}/sizes", "rb", opener=_os.sharing) as file:
            data = file.read()
    except FileNotFoundError:
        return []
    whole = len(data) - len(data) % _RECORD.size
    return [
        Resized(offset if number else 0, Size(rows, columns), at_ms)
        for number, (offset, at_ms, rows, columns) in enumerate(_RECORD.iter_unpack(data[:whole]))
    ]


class Sizes:
    """Puts the sizes into a run of output that is read piece by piece from `offset` on."""

    def __init__(self, directory: str, offset: int) -> None:
        self._directory = directory
        self._offset = offset
        self._last: Resized | None = None

    def merged(self, pieces: Sequence[Chunk | Gap]) -> list[Chunk | Gap | Resized]:
        """`pieces` with each change of size in its place; the very first is told the size it begins with."""
        if not pieces:
            return []
        news = self._news()
        found: list[Chunk | Gap | Resized] = []
        for piece in pieces:
            inside = [change for change in news if change.offset < piece.end]
            news = news[len(inside) :]
            self._last = inside[-1] if inside else self._last
            found += _cut(piece, inside)
        self._offset = max(self._offset, pieces[-1].end)
        return found

    def _news(self) -> list[Resized]:
        """The changes behind the last one that was told; it may have been cut away, or be the first now."""
        changes = read_sizes(self._directory)
        for number in range(len(changes) - 1, -1, -1):
            change = changes[number]
            if self._last and (change.at_ms, change.size) == (self._last.at_ms, self._last.size):
                return changes[number + 1 :]
        while len(changes) > 1 and changes[1].offset <= self._offset:
            changes.pop(0)
        return changes


def _cut(piece: Chunk | Gap, changes: list[Resized]) -> Iterator[Chunk | Gap | Resized]:
    """`piece` with `changes`, which lie before or in it, in their places."""
    for change in changes:
        if isinstance(piece, Chunk) and change.offset > piece.offset:
            at = change.offset - piece.offset
            yield Chunk(piece.offset, piece.stream, piece.data[:at], piece.at_ms)
            piece = Chunk(change.offset, piece.stream, piece.data[at:], piece.at_ms)
        yield change
    yield piece
