"""The keys that let go of a terminal, as they are written: `ctrl-] d`, `ctrl-p ctrl-q`, `none`."""

from __future__ import annotations

import re

__all__ = ["NONE", "PATTERN", "parse_keys"]

NONE = "none"
PATTERN = r"^(none|ctrl-[a-z@\\\]^_]( (ctrl-[a-z@\\\]^_]|[!-~]))*)$"
"""The first is held back until the next one tells what was meant, so it must be none that text is made of.

That rules out `ctrl-[` too: it is Escape, with which every arrow key begins.
"""


def parse_keys(text: str) -> bytes:
    """Return the keys as the bytes that a terminal sends for them, none at all for `none`.

    Raises `ValueError` that says how they are written.
    """
    words = text.split()
    lowered = [word.lower() if word.lower().startswith("ctrl-") else word for word in words]
    if words and words[0].lower() == NONE:
        lowered[0] = NONE
    if re.match(PATTERN, " ".join(lowered)) is None:
        raise ValueError(
            "detach keys are ctrl-X (X: a letter or one of @ \\ ] ^ _), then more such keys or single "
            f"characters after blanks, as in 'ctrl-] d'; or 'none'; not {text!r}"
        )
    if lowered == [NONE]:
        return b""
    return bytes(ord(word[-1].upper()) & 0x1F if word.startswith("ctrl-") else ord(word) for word in lowered)
