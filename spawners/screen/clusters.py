"""Characters that are more than a code point and a cell: marks, joined emoji, flags, wide ones."""

from __future__ import annotations

from wcwidth import wcswidth, wcwidth

from spawners.screen.base import Cell

__all__ = ["join", "mend", "unpair"]

JOINER, NON_JOINER = "\u200d", "\u200c"
LONGEST = 32
"""Code points of one character: no script needs as many, and a program may send marks without end."""


def join(before: Cell, char: str) -> Cell | None:
    """`before` with `char` as a part of it, None if `char` begins a character of its own.

    Marks on a blank are dropped: they join, and change nothing.
    """
    width = wcwidth(char)
    if before.text == " " or (before.text.endswith(JOINER) and not before.wide):
        return before if width == 0 else None
    text = before.text + char
    now = 1 + before.wide
    whole = wcswidth(text)
    if width > 0 and (whole > now or before.text <= "~"):
        return None
    if len(text) > LONGEST or (not char.isprintable() and char not in (JOINER, NON_JOINER)):
        return before
    return Cell(text, before.style, before.wide or whole > now)


def unpair(line: dict[int, Cell], x: int) -> None:
    """Make room at `x`: of a wide character there, the other half becomes a blank."""
    old = line.get(x)
    if old is None:
        return
    if old.wide:
        line[x + 1] = Cell(style=old.style)
    elif old.text == "" and x:
        line[x - 1] = Cell(style=old.style)


def mend(row: list[Cell]) -> None:
    """Make blanks of the halves of wide characters that have lost their other half."""
    for x, cell in enumerate(row):
        follows = row[x + 1].text if x + 1 < len(row) else " "
        if (cell.wide and follows) or (not cell.text and not (x and row[x - 1].wide)):
            row[x] = Cell(style=cell.style)
