"""The base of every struct on the wire, its JSON codec and the protocol version."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import msgspec

__all__ = ["PROTOCOL", "PROTOCOL_HEADER", "Wire", "decode", "encode", "now_ms", "protocol_mismatch"]

PROTOCOL = 1
"""Raised only when an older peer would misunderstand; new optional fields do not need it."""

PROTOCOL_HEADER = "Muster-Protocol"
"""Sent by clients on every request and by servers on every response."""

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A value on the wire: camelCase JSON, times in epoch milliseconds.

    Unknown fields are ignored, so that a newer peer may add some.
    """


_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Return `value` as JSON bytes."""
    return _encoder.encode(value)


def decode(data: bytes, type_: type[T]) -> T:
    """Parse JSON bytes as `type_`.

    Raises `msgspec.DecodeError` for bytes that are not JSON and its subclass
    `msgspec.ValidationError` for JSON of another shape; the message names the field.
    """
    return msgspec.json.decode(data, type=type_)


def now_ms() -> int:
    """Return this machine's wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def protocol_mismatch(theirs: str | None, *, we_are: str, they_are: str) -> str | None:
    """Return why a peer that sent `theirs` as its protocol cannot be served, or None if it can.

    An older or silent peer is served; one from the future is told which side to upgrade.
    """
    if theirs is None:
        return None
    try:
        version = int(theirs)
    except ValueError:
        return f"{PROTOCOL_HEADER} must be a whole number, not {theirs!r}"
    if version <= PROTOCOL:
        return None
    return (
        f"the {they_are} speaks protocol {version}, this {we_are} only up to {PROTOCOL}: "
        f"upgrade the {we_are} (pip install -U musterd) and restart it"
    )
