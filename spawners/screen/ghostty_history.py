"""Counting the lines that libghostty-vt scrolls away: it knows only how many it still has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pyghostty import ffi, lib

from spawners.screen.ghostty_types import POINTERS, new, size_of

__all__ = ["SLACK", "History", "grid_ref", "pieces"]

PIECE = 4096
"""Bytes after which the count is brought up to date: they scroll no more lines than they are."""

SLACK = PIECE + 4096
"""Lines kept beyond those that were asked for: a piece's, and a page of the library (some hundred to
some thousand lines), which it drops as a whole."""

ERASES = re.compile(rb"\x1b(?:\[3J|c)")
PRIMARY = lib.GHOSTTY_TERMINAL_SCREEN_PRIMARY


def _by_twin(name: str, kind: str) -> Any:
    # cffi cannot pass a union by value; the library's own binding declares a struct of the same layout.
    return ffi.cast(POINTERS[kind], ffi.addressof(lib, name))


_track = _by_twin("ghostty_terminal_grid_ref_track", "track")
_grid_ref = _by_twin("ghostty_terminal_grid_ref", "grid_ref")
_track_set = _by_twin("ghostty_tracked_grid_ref_set", "track_set")


def _point(tag: int, column: int, row: int) -> Any:
    point = new("GhosttyPointS")
    point.tag = tag
    point.value.x, point.value.y = column, row
    return point[0]


def grid_ref(terminal: Any, tag: int, column: int, row: int) -> Any:
    """A reference to a cell, good until the terminal changes; None if there is no such cell."""
    ref = new("GhosttyGridRef")
    ref.size = size_of("GhosttyGridRef")
    return None if _grid_ref(terminal, _point(tag, column, row), ref) else ref


def pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Where to cut `data` so that the count can follow: often enough, and before the history is erased."""
    cuts = {*range(0, len(data), PIECE), *(found.start() for found in ERASES.finditer(data)), len(data)}
    return pairwise(sorted(cuts))


class History:
    """Follows the first line of the primary screen as it moves into the history."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._top = _point(lib.GHOSTTY_POINT_TAG_ACTIVE, 0, 0)
        self._ref = new("GhosttyTrackedGridRef")
        if _track(terminal, self._top, self._ref):
            raise MemoryError("the terminal emulator could not be given memory")
        self._place = new("GhosttyPointCoordinate")
        self._rows = new("size_t")
        self._active = new("GhosttyTerminalScreen")
        self.scrolled = 0

    def close(self) -> None:
        lib.ghostty_tracked_grid_ref_free(self._ref[0])

    @property
    def shown(self) -> bool:
        """Whether the primary screen is the active one."""
        lib.ghostty_terminal_get(self._terminal, lib.GHOSTTY_TERMINAL_DATA_ACTIVE_SCREEN, self._active)
        return bool(self._active[0] == PRIMARY)

    def kept(self) -> int:
        """Lines of history that the active screen has."""
        lib.ghostty_terminal_get(self._terminal, lib.GHOSTTY_TERMINAL_DATA_SCROLLBACK_ROWS, self._rows)
        return int(self._rows[0])

    def follow(self) -> None:
        """Bring `scrolled` up to date; puts off what cannot be seen while the alternate screen is active."""
        if not self.shown:
            return
        ref, kept = self._ref[0], self.kept()
        lost = lib.ghostty_tracked_grid_ref_point(ref, lib.GHOSTTY_POINT_TAG_SCREEN, self._place)
        self.scrolled += kept if lost else kept - self._place.y
        _track_set(ref, self._terminal, self._top)
