"""A server sleeps until there is something to do, also to end."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.applications import Starlette

from relay.wire.server import Server


class Counted(Server):
    """Tells what each of its wake-ups was for: uvicorn renews the Date at every tenth, from the first."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ticks: asyncio.Queue[int] = asyncio.Queue()

    async def on_tick(self, counter: int) -> bool:
        self.ticks.put_nowait(counter)
        return await super().on_tick(counter)


async def test_an_idle_server_wakes_up_for_nothing_but_the_date_and_ends_when_told() -> None:
    server = Counted(uvicorn.Config(Starlette(), lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(60):
            assert [await server.ticks.get() for _ in range(2)] == [0, 0]
            assert server.server_state.default_headers[0][0] == b"date"
            server.end()
            await serving
    assert server.ticks.qsize() == 1
