"""Feeds a provider's dialogue with a stream, in pieces of any size."""

from __future__ import annotations

import json
from typing import Any

from spawners.providers.base import Opening
from spawners.providers.events import Event
from spawners.providers.registry import BUILTIN
from spawners.providers.tally import Outcome, Tally

SIZES = (1, 7, 65536)
"""Bytes of the pieces in which every stream is read."""


def lines(*objects: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in objects)


def heard(provider: str, data: bytes, size: int = 65536) -> list[Event]:
    """What `data` says when it comes in pieces of `size` bytes and the CLI is only listened to."""
    dialogue = BUILTIN.get(provider).dialogue(Opening())
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [event for piece in pieces for event in dialogue.feed(piece)]


def take_all(tally: Tally, several: list[Event]) -> None:
    for event in several:
        tally.take(event)


def outcome(several: list[Event]) -> Outcome:
    tally = Tally()
    take_all(tally, several)
    return tally.outcome


def read(provider: str, data: bytes, size: int = 65536) -> Outcome:
    return outcome(heard(provider, data, size))
