"""Listens on the unix socket of this home, or on loopback with a token (see `relay.wire.local`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from orchestrator.agents.registry import Registry
from orchestrator.local.errors import translate
from orchestrator.local.guard import Guard
from relay.wire.endpoints import Endpoint
from relay.wire.home import Home
from relay.wire.local import write_local
from relay.wire.private import remove_file
from relay.wire.server import Server
from relay.wire.serving import SOCKET_OPTIONS, Call, routes

__all__ = ["LocalServer"]

BACKLOG = 512
CLOSE_WITHIN_S = 1
"""How long open streams may hold up the end of the daemon."""


class LocalServer:
    """Serves while its `async with` block runs. The state directory's lock must be held."""

    def __init__(
        self, home: Home, registry: Registry, table: Mapping[Endpoint[Any], Callable[[Call], Awaitable[Any]]]
    ) -> None:
        self._path = home.daemon_socket
        self._secret = secrets.token_urlsafe(32) if home.tcp else None
        self._socket = self._listen()
        app = Starlette(routes=routes(table, Guard(registry, self._secret), translate))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            backlog=BACKLOG,
            timeout_graceful_shutdown=CLOSE_WITHIN_S,
            **SOCKET_OPTIONS,
        )
        self._server = Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> dict[str, Any]:
        """Where it listens, as far as everybody may know that."""
        if self._secret is None:
            return {"socket": self._path}
        return {"port": self._socket.getsockname()[1]}

    def _listen(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            remove_file(self._path)  # a dead daemon's: we hold the lock
        if self._secret is not None:
            listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
            write_local(self._path, listener.getsockname()[1], self._secret)
            return listener
        listener = socket.socket(getattr(socket, "AF_UNIX"), socket.SOCK_STREAM)  # noqa: B009 # Windows has none
        before = os.umask(0o177)
        try:
            listener.bind(self._path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        return listener

    async def __aenter__(self) -> LocalServer:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="local API")
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.end()
        if self._task is not None:
            await self._task
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            remove_file(self._path)
