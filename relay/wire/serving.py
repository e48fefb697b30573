"""Binds handlers to the endpoint table as Starlette routes; used by the relay and the local API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from relay.wire.base import PROTOCOL, PROTOCOL_HEADER, decode, encode, protocol_mismatch
from relay.wire.duplex import PING_INTERVAL_S, PING_TIMEOUT_S, Closed
from relay.wire.endpoints import Body, Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.problem import problem
from relay.wire.served_socket import ServedSocket
from relay.wire.terminal import MAX_ATTACH_MESSAGE

__all__ = [
    "SOCKET_OPTIONS",
    "Call",
    "ServerEvent",
    "Streamed",
    "events",
    "routes",
]

KEEPALIVE_S = 15.0
"""Shorter than the 30–60 s after which common proxies drop an idle connection."""

SOCKET_OPTIONS: Mapping[str, Any] = {
    "ws": "relay.wire.upgrades:Upgrades",
    "ws_max_size": MAX_ATTACH_MESSAGE,
    "ws_ping_interval": PING_INTERVAL_S,
    "ws_ping_timeout": PING_TIMEOUT_S,
    "ws_per_message_deflate": False,  # 90 KiB a socket, and what a terminal shows is small
}
"""How uvicorn is to serve the endpoints that are sockets."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a handler sees it: everything parsed and checked.

    `caller` is whatever the guard returned; `query` and `body` are of the endpoint's types. Of an
    endpoint that is a socket, `opening` is that socket, not accepted yet.
    """

    endpoint: Endpoint[Any]
    caller: Any
    path: Mapping[str, str]
    query: Any
    body: Any
    request: Request
    opening: ServedSocket | None = None

    @property
    def socket(self) -> ServedSocket:
        """The caller's socket; only endpoints that are one may ask for it."""
        assert self.opening is not None
        return self.opening

    @property
    def id(self) -> str:
        return self.path["id"]

    @property
    def last_event_id(self) -> int | None:
        value = self.request.headers.get("Last-Event-ID", "")
        return int(value) if value.isdigit() else None


Handler = Callable[[Call], Awaitable[Any]]
Guard = Callable[[Request, Endpoint[Any]], Awaitable[Any]]
Translate = Callable[[Exception], ApiError]


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream; without an `id` a reader that resumes does not count it."""

    data: Any
    event: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Streamed:
    """A handler's answer that is sent in pieces as they come."""

    content: AsyncIterator[bytes]
    media_type: str
    headers: Mapping[str, str] | None = None


def routes(handlers: Mapping[Endpoint[Any], Handler], guard: Guard, translate: Translate) -> list[BaseRoute]:
    """Return the routes of every endpoint in `handlers`.

    `guard` lets a request in (returning its caller) or raises `ApiError`; it runs before the body
    is read. `translate` turns any other exception into the `ApiError` to answer with.
    """
    made: list[BaseRoute] = []
    for endpoint, handler in handlers.items():
        is_socket = endpoint.body is Body.SOCKET
        if is_socket:
            made.append(WebSocketRoute(endpoint.path, _bind_socket(endpoint, handler, guard, translate)))
        bound = _bind(endpoint, _no_socket if is_socket else handler, guard, translate)
        made.append(Route(endpoint.path, bound, methods=[endpoint.method]))
    return made


async def _no_socket(call: Call) -> Response:
    raise ApiError(
        Code.PROTOCOL_UNSUPPORTED,
        f"{call.endpoint.name} is a WebSocket: open it as one, with Upgrade: websocket",
    )


async def _enter(endpoint: Endpoint[Any], request: Request, guard: Guard) -> tuple[Any, Any]:
    """Return the caller and the query of a request that may come in."""
    reason = protocol_mismatch(request.headers.get(PROTOCOL_HEADER), we_are="server", they_are="client")
    if reason:
        raise ApiError(Code.PROTOCOL_UNSUPPORTED, reason)
    caller = await guard(request, endpoint)
    return caller, _query(endpoint, request)


def _bind(
    endpoint: Endpoint[Any], handler: Handler, guard: Guard, translate: Translate
) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            caller, query = await _enter(endpoint, request, guard)
            body = await _body(endpoint, request)
            call = Call(endpoint, caller, request.path_params, query, body, request)
            return _answer(endpoint, await handler(call))
        except ClientDisconnect:
            return Response(status_code=499)
        except ApiError as error:
            return problem(error)
        except Exception as error:  # noqa: BLE001 - the edge of a request
            return problem(translate(error))

    return serve


def _bind_socket(
    endpoint: Endpoint[Any], handler: Handler, guard: Guard, translate: Translate
) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve(websocket: WebSocket) -> None:
        socket = ServedSocket(websocket)
        # An opening is a GET, so that guards and handlers need to know only one kind of request.
        request = Request({**websocket.scope, "type": "http", "method": "GET"})
        await socket.begin()
        try:
            caller, query = await _enter(endpoint, request, guard)
            await handler(Call(endpoint, caller, request.path_params, query, None, request, socket))
            await socket.close()
        except Closed:
            pass
        except ApiError as error:
            await socket.refuse(error)
        except Exception as error:  # noqa: BLE001 - the edge of a request
            await socket.refuse(translate(error))

    return serve


def _response(content: bytes, status: int, media_type: str = "application/json") -> Response:
    return Response(content, status, {PROTOCOL_HEADER: str(PROTOCOL)}, media_type)


def _answer(endpoint: Endpoint[Any], result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, Streamed):
        headers = {PROTOCOL_HEADER: str(PROTOCOL), "Cache-Control": "no-store", **(result.headers or {})}
        return StreamingResponse(result.content, endpoint.status, headers, result.media_type)
    if endpoint.status == 204:
        return Response(status_code=204, headers={PROTOCOL_HEADER: str(PROTOCOL)})
    return _response(encode(result), endpoint.status)


def _query(endpoint: Endpoint[Any], request: Request) -> Any:
    if endpoint.query is None:
        return None
    try:
        return msgspec.convert(dict(request.query_params), endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(Code.INVALID, f"in the query string: {error}") from None


async def _body(endpoint: Endpoint[Any], request: Request) -> Any:
    if endpoint.request is None:
        return None
    data = await _read(request, endpoint.max_body)
    try:
        return decode(data or b"{}", endpoint.request)
    except msgspec.ValidationError as error:
        raise ApiError(Code.INVALID, f"in the body: {error}") from None
    except msgspec.DecodeError as error:
        raise ApiError(Code.MALFORMED, f"the body is not valid JSON: {error}") from None
    except UnicodeDecodeError:
        raise ApiError(Code.MALFORMED, "the body is not valid UTF-8") from None


async def _read(request: Request, limit: int) -> bytes:
    refusal = ApiError(
        Code.TOO_LARGE,
        f"the body is larger than the {limit} bytes allowed here; pass large input as a file",
        limit=limit,
    )
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise refusal
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise refusal
    return bytes(data)


def events(source: AsyncIterator[ServerEvent]) -> Streamed:
    """Return `source` as a server-sent event stream, kept warm by comments while it is quiet."""
    return Streamed(_event_bytes(source), "text/event-stream", {"X-Accel-Buffering": "no"})


async def _event_bytes(source: AsyncIterator[ServerEvent]) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    pending: asyncio.Future[ServerEvent] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(source))
            done, _ = await asyncio.wait({pending}, timeout=KEEPALIVE_S)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            number = b"id: %d\n" % event.id if event.id is not None else b""
            yield number + b"event: " + event.event.encode() + b"\ndata: " + encode(event.data) + b"\n\n"
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await pending
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
