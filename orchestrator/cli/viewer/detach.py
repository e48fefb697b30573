"""Finding the detach keys in what a person types, however their terminal encodes keys at the moment."""

from __future__ import annotations

import re

__all__ = ["DetachKeys"]

PASTE_START, PASTE_END = b"\x1b[200~", b"\x1b[201~"
_KEY = (
    rb"\x1b\[(?P<code>\d+)(?::(?P<shifted>\d*))?(?::(?P<base>\d*))?"
    rb"(?:;(?P<mods>\d*)(?::(?P<event>\d+))?)?(?:;[\d:]*)?u"
    rb"|\x1b\[27;(?P<xmods>\d+);(?P<xcode>\d+)~"
)
"""A key as the kitty keyboard protocol or xterm's modifyOtherKeys writes it, if a program asked for that."""
_TOKEN = re.compile(_KEY + rb"|" + re.escape(PASTE_START) + rb"|.", re.DOTALL)
_SHIFT, _CONTROL, _LOCKS = 1, 4, 64 | 128
_RELEASED = b"3"
_LONE_MODIFIERS = range(57441, 57455)
"""Shift, control and so on by themselves, which some programs ask to hear of too."""
_CONTROL_CHARACTERS = frozenset(b"@[\\]^_ ") | frozenset(range(ord("a"), ord("z") + 1))
_NOTHING, _ANOTHER = -1, -2


class DetachKeys:
    """A filter over typed bytes: `feed` gives what is for the program, `detached` says that it is over.

    The first key of the sequence is held back until the next key tells what was meant: the whole
    sequence detaches, the first key twice sends it once, anything else sends both. What is pasted in
    brackets is never taken for keys. A key whose bytes come in two pieces is not recognised, only
    passed on: terminals write each key in one piece.
    """

    def __init__(self, keys: bytes) -> None:
        self.detached = False
        self._keys = keys
        self._held = b""
        self._matched = 0
        self._pasting = False
        self._tail = b""
        first = re.escape(keys[:1]) + b"|" if keys else b""
        self._start = re.compile(first + _KEY + rb"|" + re.escape(PASTE_START))

    def feed(self, data: bytes) -> bytes:
        """Return what the program is to get now."""
        if not self._keys:
            return data
        out = bytearray()
        position = 0
        while position < len(data) and not self.detached:
            if self._pasting:
                position = self._paste(data, position, out)
            elif self._matched:
                position = self._go_on(data, position, out)
            else:
                position = self._look(data, position, out)
        return bytes(out)

    def _paste(self, data: bytes, position: int, out: bytearray) -> int:
        """Pass on what is pasted; its end may have begun in what came before."""
        seen = self._tail + data[position:]
        found = seen.find(PASTE_END)
        if found < 0:
            self._tail = seen[-(len(PASTE_END) - 1) :]
            out += data[position:]
            return len(data)
        end = position + found + len(PASTE_END) - len(self._tail)
        out += data[position:end]
        self._pasting, self._tail = False, b""
        return end

    def _look(self, data: bytes, position: int, out: bytearray) -> int:
        """Pass on everything up to what may be the first key of the sequence."""
        found = self._start.search(data, position)
        if found is None:
            out += data[position:]
            return len(data)
        out += data[position : found.start()]
        token = found[0]
        if token == PASTE_START:
            self._pasting = True
        elif _meaning(found) == self._keys[0]:
            self._take(token)
            return found.end()
        out += token
        return found.end()

    def _go_on(self, data: bytes, position: int, out: bytearray) -> int:
        """Take the key behind those that are held back."""
        found = _TOKEN.match(data, position)
        assert found is not None
        token, meaning = found[0], _meaning(found)
        if meaning == _NOTHING:
            self._held += token
            return found.end()
        if meaning == self._keys[self._matched]:
            self._take(token)
            return found.end()
        if self._matched == 1 and meaning == self._keys[0]:
            out += token
        else:
            out += self._held
        end = found.end() if meaning == self._keys[0] and self._matched == 1 else position
        self._held, self._matched = b"", 0
        return end

    def _take(self, token: bytes) -> None:
        self._held += token
        self._matched += 1
        self.detached = self._matched == len(self._keys)


def _meaning(found: re.Match[bytes]) -> int:
    """Return the byte that a plain terminal sends for this key, or that it is another one or none."""
    token = found[0]
    if len(token) == 1:
        return token[0]
    fields = found.groupdict()
    if token == PASTE_START:
        return _ANOTHER
    if fields["xcode"]:
        return _legacy(int(fields["xcode"]), int(fields["xmods"]) - 1, None)
    code = int(fields["code"])
    if fields["event"] == _RELEASED or code in _LONE_MODIFIERS:
        return _NOTHING
    if code > 127 and fields["base"]:  # another alphabet: where the key is on a latin keyboard
        code = int(fields["base"])
    shifted = int(fields["shifted"]) if fields["shifted"] else None
    return _legacy(code, int(fields["mods"] or 1) - 1, shifted)


def _legacy(code: int, modifiers: int, shifted: int | None) -> int:
    modifiers &= ~_LOCKS
    if modifiers == _CONTROL and code in _CONTROL_CHARACTERS:
        return code & 0x1F
    if modifiers == _SHIFT:
        code = shifted or (code - 32 if ord("a") <= code <= ord("z") else code)
    elif modifiers:
        return _ANOTHER
    return code if code < 128 else _ANOTHER
