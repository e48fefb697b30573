"""Select Graphic Rendition, both ways: a style from a program's parameters, and the bytes of a style."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from spawners.screen.base import Color, Style

__all__ = ["sgr", "styled"]

_ON: dict[int, dict[str, Any]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": 1},
    5: {"blink": True},
    6: {"blink": True},
    7: {"inverse": True},
    8: {"invisible": True},
    9: {"strikethrough": True},
    21: {"underline": 2},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": 0},
    25: {"blink": False},
    27: {"inverse": False},
    28: {"invisible": False},
    29: {"strikethrough": False},
    39: {"foreground": None},
    49: {"background": None},
    **{30 + n: {"foreground": n} for n in range(8)},
    **{40 + n: {"background": n} for n in range(8)},
    **{90 + n: {"foreground": 8 + n} for n in range(8)},
    **{100 + n: {"background": 8 + n} for n in range(8)},
}
_COLORED = {38: "foreground", 48: "background", 58: ""}


def styled(pen: Style, parameters: str) -> Style:
    """`pen` after `CSI parameters m`. What is not known or out of range is passed over."""
    fields = [field.split(":") for field in parameters.split(";")]
    try:
        groups = [[int(part or 0) for part in field] for field in fields]
    except ValueError:
        return pen
    changes: dict[str, Any] = {}
    while groups:
        code, *parts = groups.pop(0)
        if code == 0:
            pen, changes = Style(), {}
        elif code in _COLORED:
            color, used = _color(parts or [group[0] for group in groups[:4]], colons=bool(parts))
            del groups[: 0 if parts else used]
            if color is not None and _COLORED[code]:
                changes[_COLORED[code]] = color
        elif code == 4 and parts:
            changes["underline"] = parts[0] if parts[0] <= 5 else 1
        else:
            changes |= _ON.get(code, {})
    return replace(pen, **changes)


def _color(parts: list[int], colons: bool) -> tuple[Color, int]:
    """The colour after 38 or 48, and how many parameters it took."""
    if parts[:1] == [5] and len(parts) > 1:
        return (parts[1] if parts[1] <= 255 else None), 2
    if parts[:1] == [2]:
        # With colons a colour space, mostly empty, may stand before the three.
        rgb = parts[-3:] if colons and len(parts) > 4 else parts[1:4]
        if len(rgb) == 3 and max(rgb) <= 255:
            return (rgb[0], rgb[1], rgb[2]), 4
        return None, 4
    return None, len(parts[:1])


def _color_codes(color: Color, base: int) -> list[str]:
    if color is None:
        return []
    if isinstance(color, tuple):
        return [f"{base + 8};2;{color[0]};{color[1]};{color[2]}"]
    if color < 8:
        return [str(base + color)]
    return [str(base + 60 + color - 8)] if color < 16 else [f"{base + 8};5;{color}"]


@lru_cache(maxsize=4096)
def sgr(style: Style) -> bytes:
    """What sets a terminal's pen to `style`, whatever it was."""
    codes = ["0"]
    flags = (style.bold, style.faint, style.italic, style.underline == 1 or style.underline > 2)
    codes += [str(code) for code, on in enumerate(flags, 1) if on]
    flags = (style.blink, False, style.inverse, style.invisible)
    codes += [str(code) for code, on in enumerate(flags, 5) if on]
    codes += ["9"] * style.strikethrough + ["21"] * (style.underline == 2)
    codes += _color_codes(style.foreground, 30) + _color_codes(style.background, 40)
    # By itself, so that a terminal that does not know curls still underlines.
    curl = f"\x1b[4:{style.underline}m" if style.underline > 2 else ""
    return f"\x1b[{';'.join(codes)}m{curl}".encode()
