"""A daemon or relay whose every answer a test chooses: a real server on a real socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from muster_processes import until
from starlette.applications import Starlette
from starlette.requests import Request

from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.endpoints import ENDPOINTS, HEALTH, UPLOAD_STREAM, Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.health import Health
from relay.wire.output import MEDIA_TYPE, Frame, Kind, encode_frame
from relay.wire.serving import Call, Streamed, routes

Answer = Callable[[Call], Any]
NOW = 1_760_000_000_000


def an_agent(status: Status = Status.RUNNING, **fields: Any) -> ManagedAgent:
    """An agent with the fields that every one has."""
    facts = {"id": "ag-0123456789ab", "provider": "command", "mode": Mode.HEADLESS, "created_at": NOW}
    return ManagedAgent(**{**facts, "status": status, "orchestrator_id": "here", **fields})


class FakeServer:
    """Listens on a unix socket (a daemon) or a loopback port (a relay) in a thread of its own.

    `on` sets the answer of an endpoint: a function of the `Call` that returns or raises it. What
    nobody has answered is `not_found`. `calls` holds every call as `(endpoint name, Call)`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.calls: list[tuple[str, Call]] = []
        self.tokens: list[str] = []
        self._answers: dict[str, Answer] = {}
        self._path = path
        self._listen()

    def _listen(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(self._path))
            self._socket.listen(64)
        else:
            self._socket = socket.create_server(("127.0.0.1", 0))
        handlers = {
            endpoint: self._handler(endpoint) for endpoint in ENDPOINTS if endpoint is not UPLOAD_STREAM
        }
        app = Starlette(routes=routes(handlers, self._guard, self._translate))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the fake server to listen")

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def on(self, endpoint: Endpoint[Any], answer: Any) -> None:
        """Answer `endpoint` with a value, an error, or what a function makes of the call."""
        self._answers[endpoint.name] = answer if callable(answer) else lambda call: answer

    def made(self, endpoint: Endpoint[Any]) -> list[Call]:
        """The calls of this endpoint so far."""
        return [call for name, call in self.calls if name == endpoint.name]

    def restart(self) -> None:
        """Break every connection, as a daemon that was killed, and listen again."""
        self.close()
        self._listen()

    def close(self) -> None:
        """Hang up on everybody and stop listening; the socket's file stays, as after a crash."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()

    def _handler(self, endpoint: Endpoint[Any]) -> Callable[[Call], Awaitable[Any]]:
        async def handle(call: Call) -> Any:
            self.calls.append((endpoint.name, call))
            answer = self._answers.get(endpoint.name)
            if answer is None and endpoint is HEALTH:
                return Health(
                    status="ok", role="orchestrator", version="0.1.0", generated_at=NOW, id="here", pid=1
                )
            if answer is None:
                raise ApiError(Code.NOT_FOUND, f"nobody told the fake what to answer to {endpoint.name}")
            result = await asyncio.to_thread(answer, call)
            if isinstance(result, Exception):
                raise result
            return result

        return handle

    async def _guard(self, request: Request, endpoint: Endpoint[Any]) -> str:
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return "tester"

    @staticmethod
    def _translate(error: Exception) -> ApiError:
        return ApiError(Code.INTERNAL, f"{type(error).__name__}: {error}")


def frames(*items: Frame, pause: threading.Event | None = None) -> Streamed:
    """An output answer of these frames; with `pause` the stream stays open behind them until it is set."""

    async def content() -> AsyncIterator[bytes]:
        for item in items:
            yield encode_frame(item)
        while pause is not None and not pause.is_set():
            await asyncio.sleep(0.01)
            yield encode_frame(Frame(items[-1].end if items else 0, Kind.IDLE))

    return Streamed(content(), MEDIA_TYPE)


def output(*pieces: tuple[Kind, bytes], offset: int = 0, last: Kind = Kind.END) -> list[Frame]:
    """Frames of these pieces, one behind the other, and the closing one."""
    made: list[Frame] = []
    for kind, data in pieces:
        made.append(Frame(offset, kind, data))
        offset += len(data)
    return [*made, Frame(offset, last)]


def from_offset(items: Iterable[Frame], call: Call) -> Streamed:
    """Answer an output call as a spool does: from its offset, or its tail."""
    whole = list(items)
    start = call.query.offset
    if call.query.tail is not None:
        start = max(0, whole[-1].offset - call.query.tail)
    kept = []
    for frame in whole:
        if frame.data and frame.end <= start:
            continue
        cut = max(0, start - frame.offset) if frame.data else 0
        kept.append(Frame(frame.offset + cut, frame.kind, frame.data[cut:]))
    return frames(*kept)


def as_json(value: Any) -> Any:
    """What the wire makes of a value."""
    return msgspec.to_builtins(value)
