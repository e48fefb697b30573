"""Where an agent's terminal comes from: its keeper on this host, or a server that reaches its host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from spawners.launch import Resized, Size

__all__ = ["Outage", "Source"]


@dataclass(frozen=True, slots=True)
class Outage:
    """The line is down, or (with an empty `reason`) up again; a fresh screen follows then."""

    reason: str


class Source(Protocol):
    """A viewer's line to an agent's terminal. `spawners.attach.Attachment` is one."""

    def __aiter__(self) -> AsyncIterator[bytes | Resized | Outage]:
        """Yield bytes for the viewer's terminal, the present screen first, until the agent has ended."""

    async def type(self, data: bytes) -> None:
        """Hand keys on; returns when the agent's terminal has taken them. Raises `BlockingIOError` if
        they were dropped because the line is down."""

    async def resize(self, size: Size) -> None:
        """The viewer's terminal has this size now; also if it is the same one it gets a fresh screen."""

    async def close(self) -> None:
        """Detach."""
