"""The server's end of the endpoints that are sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from relay.wire.base import PROTOCOL, PROTOCOL_HEADER, encode
from relay.wire.duplex import BROKEN, NORMAL, Closed, Message
from relay.wire.errors import ApiError
from relay.wire.problem import problem
from relay.wire.terminal import Refused

__all__ = ["ServedSocket"]

CLOSE_TIMEOUT_S = 1.0
"""For a caller that has stopped reading to be told; without that the server hangs up."""

_PROTOCOL = (PROTOCOL_HEADER.lower().encode(), str(PROTOCOL).encode())


class ServedSocket:
    """The server's end of a caller's socket; see `duplex.Duplex`.

    Until `accept` has been called, whatever a handler raises is answered as to any other call. After
    that the caller is sent a `Refused` and the socket is closed.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._accepted = False
        self._shut: Closed | None = None
        """Set once nothing can be sent any more; what the caller sent before can still be received."""
        self._ended: Closed | None = None

    async def begin(self) -> None:
        """Take the opening itself off the line, so that what `receive` finds next is what comes after it."""
        await self._socket.receive()

    async def accept(self) -> None:
        """Open the socket. Raises `Closed` if the caller has gone away meanwhile."""
        await self._put({"type": "websocket.accept", "headers": [_PROTOCOL]})
        self._accepted = True

    async def send(self, message: Message) -> None:
        kind = "bytes" if isinstance(message, bytes) else "text"
        await self._put({"type": "websocket.send", kind: message})

    async def _put(self, message: dict[str, Any]) -> None:
        if self._shut is not None:
            raise self._shut
        try:
            await self._socket.send(message)
        except (OSError, WebSocketDisconnect):
            self._shut = self._ended or Closed(BROKEN)
            raise self._shut from None

    async def receive(self) -> Message:
        if self._ended is not None:
            raise self._ended
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self._ended = Closed(message.get("code") or BROKEN, message.get("reason") or "")
            raise self._ended
        data: Message | None = message.get("bytes")
        return data if data is not None else message["text"]

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        with contextlib.suppress(Closed, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self._shut = self._shut or Closed(code, reason)

    async def refuse(self, error: ApiError) -> None:
        """Tell the caller why there is no socket, or why it ends now."""
        with contextlib.suppress(Closed, OSError, WebSocketDisconnect):
            if self._accepted:
                await self.send(encode(Refused(error=error.body.error)).decode())
                await self.close()
            elif self._ended is None:
                await self._socket.send_denial_response(problem(error))
