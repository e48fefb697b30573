"""A real relay on a real socket, in the test's own event loop: its numbers can be turned."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from relay.app import AdminFile, Relay
from relay.config import RelayConfig
from relay.store.engine import SqlStore
from relay.store.schema import prepare
from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, SpawnRequest
from relay.wire.client import AsyncClient
from relay.wire.health import Scope, TokenRequest
from relay.wire.queries import AgentQuery
from relay.wire.server import Server
from relay.wire.serving import SOCKET_OPTIONS

__all__ = ["RelayInProcess", "eventually"]

ADMIN_TOKEN = "mst_" + "a" * 64


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what no event tells of; fails after 60 s."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class RelayInProcess:
    def __init__(self, store: SqlStore, config: RelayConfig, folder: Path) -> None:
        self.store = store
        self.config = config
        self.folder = folder
        self.url = ""
        self.clients: list[AsyncClient] = []

    async def start(self) -> None:
        await prepare(self.store)
        self.relay = Relay(self.config, self.store, bound="127.0.0.1")
        await self.relay.start(AdminFile(ADMIN_TOKEN, lambda _text: None))
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.relay.asgi,
            http="httptools",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
            **SOCKET_OPTIONS,
        )
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        for client in self.clients:
            await client.close()
        self.clients.clear()
        self._server.end()
        self.relay.begin_stop()
        await self._serving
        await self.relay.stop()

    def client(self, token: str | None = ADMIN_TOKEN) -> AsyncClient:
        client = AsyncClient(self.url, token=token)
        self.clients.append(client)
        return client

    async def token(self, scope: Scope, bound_to: str | None = None, **facts: Any) -> str:
        request = TokenRequest(scope=scope, id=bound_to, **facts)
        return (await self.client().call(endpoints.CREATE_TOKEN, request)).token

    async def spawn(self, *argv: str, **facts: Any) -> ManagedAgent:
        request = SpawnRequest(argv=list(argv or ("true",)), **facts)
        return (await self.client().call(endpoints.SPAWN, request)).agent

    async def get(self, agent_id: str, wait: str | None = None, timeout_ms: int = 60_000) -> ManagedAgent:
        query = AgentQuery(wait=wait, timeout_ms=timeout_ms)
        return await self.client().call(endpoints.GET_AGENT, path={"id": agent_id}, query=query)
