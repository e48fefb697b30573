"""The client's end of the endpoints that are sockets, for the host's daemon and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket
from websockets.asyncio.client import unix_connect as unix_websocket
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidStatus, WebSocketException

from relay.wire.base import PROTOCOL_HEADER
from relay.wire.client import (
    CONNECT_TIMEOUT_S,
    LOCAL_URL,
    Unreachable,
    check_answer,
    query_values,
    request_headers,
)
from relay.wire.duplex import BROKEN, NORMAL, PING_INTERVAL_S, PING_TIMEOUT_S, Closed, Message, tune
from relay.wire.endpoints import Endpoint
from relay.wire.terminal import MAX_ATTACH_MESSAGE

__all__ = ["ClientSocket", "SocketClient"]

ANSWER_TIMEOUT_S = 60.0
"""For the whole opening: a relay answers only once the agent's host has opened its own end."""

CLOSE_TIMEOUT_S = 1.0
"""How long a close waits for the other end to have taken everything and say goodbye too, if nothing else
is said: it may have stopped reading."""

QUEUED_MESSAGES = 4
"""Received ahead of the reader; with the largest messages that is 1 MiB."""


class ClientSocket:
    """An open line; see `duplex.Duplex`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: Message) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> Message:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        # What nobody has read would make the kernel reset the line, and what was sent last get lost.
        draining = asyncio.create_task(self._drain())
        try:
            await self._connection.close(code, reason)
        finally:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)

    async def _drain(self) -> None:
        with contextlib.suppress(ConnectionClosed, ConcurrencyError):
            while True:
                await self._connection.recv()


class SocketClient:
    """Opens sockets at one server; made like a `client.AsyncClient`, but without a connection to keep."""

    def __init__(
        self,
        url: str | None = None,
        *,
        socket: str | None = None,
        token: str | None = None,
        verify: ssl.SSLContext | bool = True,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        self.target = socket or url or LOCAL_URL
        self._url = url or LOCAL_URL
        self._socket = socket
        self._verify = verify
        self._options: dict[str, Any] = {
            "additional_headers": request_headers(token),
            "user_agent_header": None,
            "compression": None,
            "open_timeout": ANSWER_TIMEOUT_S,
            "ping_interval": PING_INTERVAL_S,
            "ping_timeout": PING_TIMEOUT_S,
            "close_timeout": close_timeout_s,
            "max_size": MAX_ATTACH_MESSAGE,
            "max_queue": QUEUED_MESSAGES,
        }

    async def connect(
        self, endpoint: Endpoint[Any], *, path: Mapping[str, str | int] | None = None, query: Any = None
    ) -> ClientSocket:
        """Open a socket at `endpoint`.

        Raises `ApiError` for a refusal and `Unreachable` when nobody answers within 60 s.
        """
        address = _address(self._url, endpoint.url(**(path or {})), query)
        try:
            return ClientSocket(await self._open(address))
        except InvalidStatus as error:
            answer = error.response
            protocol, body = answer.headers.get(PROTOCOL_HEADER), bytes(answer.body or b"")
            check_answer(address, answer.status_code, protocol, body)
            raise Unreachable(f"{self.target} answered {answer.status_code} and opened no socket") from None
        except (OSError, TimeoutError, ValueError, WebSocketException) as error:
            raise Unreachable(f"cannot reach {self.target}: {str(error) or type(error).__name__}") from error

    async def _open(self, address: str) -> ClientConnection:
        if self._socket is not None:
            return await unix_websocket(self._socket, address, **self._options)
        options = dict(self._options)
        if address.startswith("wss:"):
            options["ssl"] = httpx.create_ssl_context(verify=self._verify, trust_env=False)
        line = await asyncio.to_thread(_dialled, address)
        return await websocket(address, proxy=None, sock=line, **options)


def _dialled(address: str) -> sockets.socket:
    """Return a connection to the server of `address`; it blocks, because a name may have to be looked up."""
    place = urlsplit(address)
    port = place.port or (443 if place.scheme == "wss" else 80)
    line = sockets.create_connection((place.hostname or "localhost", port), CONNECT_TIMEOUT_S)
    line.setblocking(False)
    tune(line)
    return line


def _address(url: str, path: str, query: Any) -> str:
    scheme, _, rest = url.partition("://")
    base = f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}{path}"
    values = query_values(query)
    return f"{base}?{urlencode(values)}" if values else base


def _closed(error: ConnectionClosed) -> Closed:
    said = error.rcvd
    return Closed(said.code, said.reason) if said is not None else Closed(BROKEN)
