"""Keeps a person's own screen out of an agent's reach: all that it paints goes to the alternate one."""

from __future__ import annotations

import re

__all__ = ["OwnScreen"]

_SEQUENCE = re.compile(rb"\x1b\[\?([0-9;]*)([hl])|\x1bc|\x1b\[3J|\x1b\[[0-9;]*t")
_UNFINISHED = re.compile(rb"\x1b(?:\[(?:\?[0-9;]{0,64}|[0-9;]{0,64}))?\Z")
_ALTERNATE = frozenset({b"47", b"1047", b"1049"})
_CLEAR = b"\x1b[2J"
_SOFT_RESET = b"\x1b[!p\x1b[H\x1b[2J"


class OwnScreen:
    """A filter over what an agent's terminal is painted with, for a viewer who is on the alternate screen.

    The switches between the two screens are taken out: on the viewer's other screen is what they had
    there before. So are those that would erase their scrollback, resize or retitle their window by its
    stack, or reset all of their terminal. Where a program has switched, `stale` says that the
    screen has to be painted anew: what it switched to is not there.
    """

    def __init__(self) -> None:
        self.stale = False
        self._alternate: bool | None = None  # not known before the first painting
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what the viewer's terminal may be given; an unfinished sequence is held back."""
        data = self._held + data
        unfinished = _UNFINISHED.search(data[-70:])
        self._held = unfinished[0] if unfinished else b""
        if self._held:
            data = data[: -len(self._held)]
        return _SEQUENCE.sub(self._instead, data) if b"\x1b" in data else data

    def _instead(self, found: re.Match[bytes]) -> bytes:
        if found[0] == b"\x1bc":
            self.stale, self._alternate = True, False
            return _SOFT_RESET
        if found[2] is None:
            return b""
        modes = found[1].split(b";")
        others = [mode for mode in modes if mode not in _ALTERNATE]
        if len(others) == len(modes):
            return found[0]
        instead = self._switch(found[2] == b"h")
        return instead + (b"\x1b[?" + b";".join(others) + found[2] if others else b"")

    def _switch(self, alternate: bool) -> bytes:
        before, self._alternate = self._alternate, alternate
        if before in (None, alternate):
            return b""
        self.stale = True
        return _CLEAR if alternate else b""
