"""A line on which both ends send whole messages: what a viewer's socket is to the code that uses it."""

from __future__ import annotations

import socket
from typing import Protocol

__all__ = [
    "BROKEN",
    "FINAL_CLOSES",
    "LINE_LOST",
    "NORMAL",
    "PING_INTERVAL_S",
    "PING_TIMEOUT_S",
    "RESTARTING",
    "WRONG_MESSAGE",
    "Closed",
    "Duplex",
    "Message",
    "Opening",
    "tune",
]

Message = bytes | str
"""A binary message or a text message."""

NORMAL = 1000
BROKEN = 1006
"""Never sent: it stands for a line that ended without a goodbye."""
WRONG_MESSAGE = 1008
RESTARTING = 1012
LINE_LOST = 1013
"""The line behind this one broke."""

FINAL_CLOSES = frozenset({NORMAL, 1002, 1003, 1007, WRONG_MESSAGE, 1009, 1010})
"""WebSocket close codes (RFC 6455) by which the other end says that it is done, or that we did wrong.
After any other the line has broken, or a server is being restarted (1001, 1012): connecting again helps."""

PING_INTERVAL_S = 15.0
"""Shorter than the 30-60 s after which common proxies drop an idle connection."""

DEAD_PEER_S = 30
"""Together with the interval between pings: within 45 s a peer that has vanished is known to be gone."""

PING_TIMEOUT_S = None if hasattr(socket, "TCP_USER_TIMEOUT") else float(DEAD_PEER_S)
"""The kernel notices a dead peer by what it does not acknowledge, and tells it from a slow one, whose
answer to a ping waits behind all that it has not read yet. Only where it cannot, pongs are counted."""

UNSENT_BYTES = 128 * 1024
"""How much the kernel takes of what cannot be sent yet. By default it is megabytes, and a person on a
slow line would see for many seconds what was painted long ago."""


class Closed(Exception):
    """The line is closed, or has broken. `code` is the WebSocket close code, 1006 for a broken line."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason or f"the socket was closed ({code})")
        self.code = code
        self.reason = reason

    @property
    def final(self) -> bool:
        """Whether connecting again would be of no use."""
        return self.code in FINAL_CLOSES


class Duplex(Protocol):
    """One end of the line. `send` and `receive` may run side by side, but each only once at a time."""

    async def send(self, message: Message) -> None:
        """Send one message; waits while the other end does not read. Raises `Closed`."""

    async def receive(self) -> Message:
        """Return the next message, in the order in which they were sent. Raises `Closed`."""

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the line; safe to repeat, and after it has broken."""


class Opening(Duplex, Protocol):
    """A line that the caller wants opened. Until then, `receive` can only tell that the caller has left."""

    async def accept(self) -> None:
        """Open it. Raises `Closed`."""


def tune(line: socket.socket) -> None:
    """Have the kernel notice a dead peer and hold little of what it cannot send yet.

    On a listening socket that holds for all that it accepts. Elsewhere than on TCP it does nothing.
    """
    if line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_USER_TIMEOUT", DEAD_PEER_S * 1000), ("TCP_NOTSENT_LOWAT", UNSENT_BYTES)):
        option = getattr(socket, name, None)
        if option is not None:
            line.setsockopt(socket.IPPROTO_TCP, option, value)
