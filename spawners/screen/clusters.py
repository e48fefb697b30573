"""Which code points form one character on the screen: marks, joined emoji, flags."""

from __future__ import annotations

from wcwidth import wcswidth, wcwidth

from spawners.screen.base import Cell

__all__ = ["join"]

JOINER, NON_JOINER = "\u200d", "\u200c"
LONGEST = 32
"""Code points of one character: no script needs as many, and a program may send marks without end."""


def join(before: Cell, char: str) -> Cell | None:
    """`before` with `char` as a part of it, None if `char` begins a character of its own.

    Marks on a blank are dropped: they join, and change nothing.
    """
    width = wcwidth(char)
    joining = before.text.endswith(JOINER)
    if before.text == " " or (joining and not before.wide):
        return before if width == 0 else None
    text = before.text + char
    now = 1 + before.wide
    whole = 2 if joining else wcswidth(text)
    if width > 0 and (whole > now or before.text <= "~"):
        return None
    if len(text) > LONGEST or (not char.isprintable() and char not in (JOINER, NON_JOINER)):
        return before
    return Cell(text, before.style, before.wide or whole > now)
