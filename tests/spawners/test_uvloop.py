"""The daemon may run on uvloop; its transports and child handling are others than asyncio's."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile

import pytest
from muster_processes import agent_argv

from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.launch import Chunk, Launch, Stdin

uvloop = pytest.importorskip("uvloop")


@pytest.mark.parametrize("zygote", [False, pytest.param(True, marks=pytest.mark.needs("linux"))])
def test_a_whole_life_on_uvloop(zygote: bool) -> None:
    folder = tempfile.mkdtemp(prefix="mu-")

    async def life() -> bytes:
        keepers = Keepers(f"{folder}/c", zygote=zygote)
        keepers.begin()
        if zygote:
            await keepers.ready()
        spawner = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c", keepers=keepers)
        agent = f"ag-{os.urandom(6).hex()}"
        steps = agent_argv("print:up", "cat", "sleep")
        session = await spawner.spawn(Launch(agent, steps, {}, "/", stdin=Stdin(live=True)))
        await session.write(b"hello\n")
        await session.close_stdin()
        again = await spawner.reattach(session.ref)
        seen = b""
        async for piece in again.output(follow=True):
            assert isinstance(piece, Chunk)
            seen += piece.data
            if seen.endswith(b"hello\n"):
                break
        ended = await again.stop()
        assert ended == await session.wait()
        async with asyncio.timeout(60):
            while keepers._executed:  # noqa: ASYNC110 - collected through the loop, which tells nobody
                await asyncio.sleep(0.005)
        await spawner.forget(session.ref)
        await keepers.close()
        return seen

    try:
        assert uvloop.run(life()) == b"up\nhello\n"
    finally:
        shutil.rmtree(folder)
