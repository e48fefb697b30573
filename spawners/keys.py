"""Keys by name, as the bytes that a terminal sends for them (xterm's tables). Pure."""

from __future__ import annotations

import re

from spawners.screen.base import Modes

__all__ = ["NAMES", "UnknownKey", "key_bytes"]

APPLICATION_CURSOR = 1
"""The DEC private mode in which arrows, Home and End are sent as `ESC O` instead of `ESC [`."""

CURSOR = {"Up": "A", "Down": "B", "Right": "C", "Left": "D", "Home": "H", "End": "F"}
FIRST_FUNCTIONS = {"F1": "P", "F2": "Q", "F3": "R", "F4": "S"}
NUMBERED = {
    "Insert": 2,
    "Delete": 3,
    "PageUp": 5,
    "PageDown": 6,
    "F5": 15,
    "F6": 17,
    "F7": 18,
    "F8": 19,
    "F9": 20,
    "F10": 21,
    "F11": 23,
    "F12": 24,
}
PLAIN = {"Enter": "\r", "Tab": "\t", "Esc": "\x1b", "Space": " ", "Backspace": "\x7f"}
MODIFIED = {"S-Tab": "\x1b[Z", "C-Space": "\0", "C-Backspace": "\x08", "S-Space": " ", "S-Backspace": "\x7f"}

NAMES = (*PLAIN, *CURSOR, *NUMBERED, *FIRST_FUNCTIONS)
ALIASES = {
    "return": "Enter",
    "escape": "Esc",
    "bspace": "Backspace",
    "pgup": "PageUp",
    "pgdn": "PageDown",
    "del": "Delete",
    "ins": "Insert",
    "pagedn": "PageDown",
    **{name.lower(): name for name in NAMES},
}
CONTROLLED = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
"""Characters whose code with Ctrl is their place in this row, as since the ASR-33."""


class UnknownKey(ValueError):
    """No terminal sends this key; the message says how keys are written."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"there is no key {key!r}: write one character, or {', '.join(NAMES)}, "
            "with C-, M- or S- in front for Ctrl, Alt and Shift (C-c, M-x, S-Tab)"
        )


def key_bytes(key: str, modes: Modes) -> bytes:
    """What a terminal in `modes` sends for `key`. Raises `UnknownKey`."""
    found = re.fullmatch(r"((?:[CMS]-)*)(.+)", key, re.DOTALL)
    if found is None:
        raise UnknownKey(key)
    modifiers = set(found[1].split("-")) - {""}
    base = found[2] if len(found[2]) == 1 else ALIASES.get(found[2].lower(), "")
    if not base or (len(base) == 1 and not base.isprintable()):
        raise UnknownKey(key)
    if base in CURSOR or base in FIRST_FUNCTIONS or base in NUMBERED:
        return _sequence(base, modifiers, modes).encode()
    alt = "\x1b" if "M" in modifiers else ""
    modifiers.discard("M")
    if len(base) == 1:
        return (alt + _character(key, base, modifiers)).encode("utf-8", "surrogatepass")
    if not modifiers:
        return (alt + PLAIN[base]).encode()
    plain = MODIFIED.get("".join(f"{each}-" for each in sorted(modifiers)) + base)
    if plain is not None:
        return (alt + plain).encode()
    if modes.kitty_keyboard and not alt:
        return f"\x1b[{ord(PLAIN[base])};{_number(modifiers)}u".encode()
    raise UnknownKey(key)


def _character(key: str, base: str, modifiers: set[str]) -> str:
    if "S" in modifiers:
        raise UnknownKey(key)  # a capital is written as one
    if "C" not in modifiers:
        return base
    if base == "?":
        return "\x7f"
    code = CONTROLLED.find(base.lower())
    if code < 0:
        raise UnknownKey(key)
    return chr(code)


def _sequence(base: str, modifiers: set[str], modes: Modes) -> str:
    number = _number(modifiers)
    if base in NUMBERED:
        return f"\x1b[{NUMBERED[base]}~" if number == 1 else f"\x1b[{NUMBERED[base]};{number}~"
    final = CURSOR.get(base) or FIRST_FUNCTIONS[base]
    if number > 1:
        return f"\x1b[1;{number}{final}"
    application = base in FIRST_FUNCTIONS or APPLICATION_CURSOR in modes.private
    return f"\x1b{'O' if application else '['}{final}"


def _number(modifiers: set[str]) -> int:
    """One more than the sum of xterm's bits: Shift 1, Alt 2, Ctrl 4."""
    return 1 + sum({"S": 1, "M": 2, "C": 4}[each] for each in modifiers)
