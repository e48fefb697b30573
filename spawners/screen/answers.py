"""What the fallback emulator answers to a program's queries: the same as the main one, as far as it goes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from spawners.screen.palette import PALETTE

__all__ = ["answer", "answer_string"]

KNOWN_MODES = {1, 6, 7, 9, 25, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1048, 1049, 2004}
CELL_PIXELS = (8, 16)
COLORS = {"10": "d0", "11": "00", "12": "d0"}
"""Foreground, background and cursor, as one grey each: a dark theme, as most terminals have."""
COLOR = re.compile(r"\](4;(\d+)|1[0-2]);\?")


def answer(
    marker: str, final: str, numbers: list[int], facts: Mapping[str, int], on: Collection[int]
) -> bytes:
    """The reply to `CSI marker numbers final`, or nothing. `facts`: row, column, rows, columns, flags."""
    first = numbers[0]
    rows, columns = facts["rows"], facts["columns"]
    width, height = CELL_PIXELS
    replies = {
        ("", "c", 0): "\x1b[?62;22c",
        (">", "c", 0): "\x1b[>1;0;0c",
        ("=", "c", 0): "\x1bP!|00000000\x1b\\",
        ("", "n", 5): "\x1b[0n",
        ("", "n", 6): f"\x1b[{facts['row']};{facts['column']}R",
        ("?", "n", 996): "\x1b[?997;1n",
        (">", "q", 0): "\x1bP>|Muster\x1b\\",
        ("?", "u", 0): f"\x1b[?{facts['flags']}u",
        ("", "t", 14): f"\x1b[4;{rows * height};{columns * width}t",
        ("", "t", 16): f"\x1b[6;{height};{width}t",
        ("", "t", 18): f"\x1b[8;{rows};{columns}t",
    }
    if final == "$p" and marker in ("", "?"):
        known = first in (KNOWN_MODES if marker else {4})
        state = (1 if first in on else 2) if known else 0
        return f"\x1b[{marker}{first};{state}$y".encode()
    return replies.get((marker, final, first), "").encode()


def answer_string(text: str) -> bytes:
    """The reply to an OSC (`]` and its text) or a DCS (`P` and its text), or nothing."""
    found = COLOR.fullmatch(text)
    if found and found[2] and int(found[2]) < len(PALETTE):
        parts = [f"{part:02x}" * 2 for part in PALETTE[int(found[2])]]
        return f"\x1b]{found[1]};rgb:{'/'.join(parts)}\x1b\\".encode()
    if found and not found[2]:
        part = COLORS[found[1]] * 2
        return f"\x1b]{found[1]};rgb:{part}/{part}/{part}\x1b\\".encode()
    return b"\x1bP0$r\x1b\\" if text.startswith("P$q") else b""
