"""JSON objects, one a line, read from chunks that are cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["MAX_LINE", "Event", "JsonLines", "count", "inner", "objects", "text_of"]

MAX_LINE = 16 * 1024 * 1024
"""Longest line that is parsed. CLIs put whole tool results, images among them, on one line; what is
longer than this carries nothing we read and is skipped."""

Event = Mapping[str, Any]


class JsonLines:
    """Holds at most one unfinished line of `MAX_LINE` bytes; skips whatever is no JSON object."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the object of every line that `data` completes."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._hold(end)
            line, fits = b"".join(self._parts), self._held <= self._max_line
            self._parts.clear()
            self._held = 0
            event = _parse(line) if fits else None
            if event is not None:
                yield event
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._max_line:
            self._parts.clear()
        elif piece:
            self._parts.append(piece)


def _parse(line: bytes) -> Event | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_of(event: Event, key: str) -> str | None:
    """The string at `key`, None if there is something else or an empty one."""
    value = event.get(key)
    return value if isinstance(value, str) and value else None


def inner(event: Event, key: str) -> Event:
    """The object at `key`, an empty one if there is something else."""
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def objects(event: Event, key: str) -> list[Event]:
    """The objects in the list at `key`; none if there is something else."""
    value = event.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count(event: Event, key: str) -> int:
    """The whole number at `key`, 0 if there is something else or a negative one."""
    value = event.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
