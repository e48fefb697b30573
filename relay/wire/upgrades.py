"""What uvicorn serves sockets with, mended in one place."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["Upgrades"]


class Upgrades(WebSocketsSansIOProtocol):
    """Knows that an opening which was refused is answered.

    uvicorn goes on waiting for the handshake then, and logs an error for every refusal (its issue 3138).
    """

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
