"""The stack of flags of the kitty keyboard protocol, one for each screen of a terminal."""

from __future__ import annotations

__all__ = ["KeyboardFlags"]

DEPTH = 8
"""Entries kept, as kitty itself does; the oldest are forgotten."""
ALL = 0b11111


class KeyboardFlags:
    """What the program has asked for with `CSI > flags u` and its relatives."""

    def __init__(self) -> None:
        self._stack = [0]

    @property
    def now(self) -> int:
        return self._stack[-1]

    def change(self, marker: str, numbers: list[int]) -> None:
        """Take `CSI marker numbers u`: push, pop, or set by mode 1 (exactly), 2 (more), 3 (fewer)."""
        flags = numbers[0] & ALL
        if marker == ">":
            self._stack = [*self._stack, flags][-DEPTH:]
        elif marker == "<":
            del self._stack[-max(1, numbers[0]) :]
            self._stack = self._stack or [0]
        elif marker == "=":
            mode = numbers[1] if len(numbers) > 1 else 1
            self._stack[-1] = {1: flags, 2: self.now | flags, 3: self.now & ~flags}.get(mode, self.now)
