"""The size of a terminal as people write it: `80x24`, columns first as everywhere else."""

from __future__ import annotations

import re

from spawners.launch import MAX_CELLS, Size

__all__ = ["PATTERN", "format_size", "parse_size"]

PATTERN = r"^([1-9][0-9]{0,2}|1000)x([1-9][0-9]{0,2}|1000)$"
"""Columns and rows, each from 1 to `MAX_CELLS`."""


def parse_size(text: str) -> Size:
    """Return the size that `text` means. Raises `ValueError` that says how it is written."""
    found = re.match(PATTERN, text.strip().lower())
    if found is None:
        raise ValueError(f"a size is COLUMNSxROWS, each from 1 to {MAX_CELLS}, as in 80x24; not {text!r}")
    return Size(rows=int(found[2]), columns=int(found[1]))


def format_size(rows: int, columns: int) -> str:
    """Return `80x24`."""
    return f"{columns}x{rows}"
