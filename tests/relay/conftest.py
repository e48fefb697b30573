"""A relay for each test, on either store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from databases import postgres_store, sqlite_store
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost

from relay.config import RelayConfig

StartRelay = Callable[..., Awaitable[RelayInProcess]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
async def start_relay(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StartRelay]:
    """Start a relay with some of its numbers turned."""
    async with AsyncExitStack() as stack:

        async def start(**numbers: Any) -> RelayInProcess:
            context = sqlite_store(tmp_path) if request.param == "sqlite" else postgres_store()
            store = await stack.enter_async_context(context)
            server = RelayInProcess(store, RelayConfig(**numbers), tmp_path)
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield start


@pytest.fixture
async def relay(start_relay: StartRelay) -> RelayInProcess:
    return await start_relay()


@pytest.fixture
async def host(relay: RelayInProcess) -> ScriptedHost:
    """A host that has just registered."""
    host = ScriptedHost(relay.client())
    await host.register()
    return host
