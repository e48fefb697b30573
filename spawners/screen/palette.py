"""What the 256 palette numbers look like where no terminal decides it: xterm's own colours."""

from __future__ import annotations

__all__ = ["PALETTE"]

_BASIC = (
    "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
    "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
)
_LEVELS = (0, 95, 135, 175, 215, 255)

PALETTE: tuple[tuple[int, int, int], ...] = (
    *((int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in _BASIC.split()),
    *((red, green, blue) for red in _LEVELS for green in _LEVELS for blue in _LEVELS),
    *((grey, grey, grey) for grey in range(8, 248, 10)),
)
"""Red, green and blue of each palette number: 16 named ones, a cube of 216, 24 greys."""
