"""A message for a terminal program: what may be in it, how it is pasted, whether it stands there. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from spawners.providers.manifest import Manifest
from spawners.screen.base import Modes, Screen

__all__ = ["Seen", "Unsendable", "clean", "pasted", "see", "stands"]

PASTE_START, PASTE_END = b"\x1b[200~", b"\x1b[201~"
TAIL = 24
"""Characters of a message's end that are looked for at the cursor: few enough to stand on a screen."""

FRAME = re.compile(r"[\s\u2500-\u259f]+")
"""Blanks, line breaks and box drawing: what a program puts between the pieces of a text that it wraps."""


class Unsendable(ValueError):
    """The text cannot be sent as a message; the message says what to do instead."""


def clean(text: str) -> str:
    """`text` with one kind of line break and without the last one.

    Raises `Unsendable` for nothing, for what no terminal sends as text, and for control characters:
    a program would act on them.
    """
    plain = text.replace("\r\n", "\n").removesuffix("\n")
    if not plain.strip():
        raise Unsendable("there is nothing to send: the text is blank; use keys for Enter alone")
    for position, character in enumerate(plain):
        category = unicodedata.category(character)
        if category == "Cs":
            raise Unsendable(f"the text is not valid Unicode at character {position}")
        if category == "Cc" and character not in "\n\t":
            raise Unsendable(
                f"the text holds the control character {character!r} at {position}; "
                "take it out, or send it as a key (keys: C-c, Esc, Enter …)"
            )
    return plain


def pasted(text: str, modes: Modes, *, canonical: bool) -> bytes:
    """The bytes that put `text` into a program's input, without what submits it.

    Raises `Unsendable` for line breaks that would each submit what stands before them.
    """
    if canonical:
        return text.encode()
    data = text.replace("\n", "\r").encode()
    if modes.bracketed_paste:
        return PASTE_START + data + PASTE_END
    if b"\r" in data:
        raise Unsendable(
            "the program takes no paste, so each line break would submit a part of the text: "
            "send one line, or the lines one by one"
        )
    return data


@dataclass(frozen=True, slots=True)
class Seen:
    """What a screen showed at one moment. `before_cursor` is all text up to the cursor, without blanks."""

    title: str
    lines: tuple[str, ...]
    cursor_line: str
    before_cursor: str
    modes: Modes
    offset: int


def see(screen: Screen, offset: int) -> Seen:
    """Take down what `screen` shows after the output up to `offset`."""
    lines, cursor = screen.text(), screen.cursor
    row = screen.cells()[cursor.row][: cursor.column]
    before = "\n".join([*lines[: cursor.row], "".join(cell.text for cell in row)])
    return Seen(
        title=screen.title,
        lines=tuple(lines),
        cursor_line=lines[cursor.row].strip(),
        before_cursor=FRAME.sub("", before),
        modes=screen.modes,
        offset=offset,
    )


def stands(text: str, before: Seen, now: Seen, manifest: Manifest | None) -> bool:
    """Whether the end of `text`, or what the CLI shows in place of a long one, stands at the cursor now.

    `before` is the screen before it was typed: what stood there already is not the text.
    """
    if now.before_cursor == before.before_cursor:
        return False
    if now.before_cursor.endswith(FRAME.sub("", text)[-TAIL:] or "\0"):
        return True
    if manifest is None:
        return False
    there = manifest.pasted.search
    return there(now.cursor_line) is not None and there(before.cursor_line) is None
