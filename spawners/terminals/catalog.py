"""Every terminal that this system may have."""

from __future__ import annotations

import functools
import importlib

from spawners import _os
from spawners.terminals.base import Terminal

__all__ = ["terminals", "window_variables"]


@functools.cache
def terminals() -> tuple[Terminal, ...]:
    """All that are known on this system, installed or not, in the order in which they are tried."""
    found: tuple[Terminal, ...] = importlib.import_module(_os.terminals).TERMINALS if _os.terminals else ()
    return found


def window_variables() -> frozenset[str]:
    """Variables by which what runs in a window knows of it. They are of no use, and mislead, outside."""
    marks = {mark for terminal in terminals() for mark in terminal.marks if "=" not in mark}
    return frozenset(marks.union(*(terminal.handles for terminal in terminals())))
