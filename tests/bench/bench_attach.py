"""What a viewer of a terminal feels: how long a key takes to be echoed, and how fast a flood goes past."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import psutil
from stand import Row, Stand, cpu_seconds, percentile, stand, stopwatch

from relay.wire import endpoints
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.sockets import ClientSocket, SocketClient
from relay.wire.terminal import AttachQuery
from spawners.attach import Attachment
from spawners.launch import Size, Viewer

__all__ = ["attach"]

KEYS = 500
ECHO = "import os, tty; tty.setraw(0); os.write(1, b'ready')\nwhile True: os.write(1, os.read(0, 4096))"
FLOOD = ["sh", "-c", "stty raw -echo; printf ready; head -c 1 >/dev/null; seq 1 25000000; printf done"]
PAINTED = 213_888_897
"""Bytes that this paints, faster than the aim (`seq 1 25000000 | wc -c`)."""

AIM = 60


class Terminal(Protocol):
    """A viewer, whichever way it came."""

    async def read(self) -> bytes: ...

    async def type(self, data: bytes) -> None: ...


class Direct:
    """Straight to the keeper, as `muster attach` on the same host."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._items = aiter(attachment)

    async def read(self) -> bytes:
        item = await anext(self._items)
        return item if isinstance(item, bytes) else b""

    async def type(self, data: bytes) -> None:
        await self._attachment.type(data)


class Remote:
    def __init__(self, socket: ClientSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        message = await self._socket.receive()
        return message if isinstance(message, bytes) else b""

    async def type(self, data: bytes) -> None:
        await self._socket.send(data)


def attach(folder: Path) -> list[Row]:
    with stand(folder) as both:
        rows = []
        for way in ("keeper", "daemon", "relay"):
            rows += asyncio.run(_echoes(both, way))
        for way in ("keeper", "daemon", "relay"):
            rows += asyncio.run(_flood(both, way))
    return rows


@asynccontextmanager
async def _terminal(both: Stand, way: str, argv: list[str]) -> AsyncIterator[Terminal]:
    """A viewer of a new agent that has said that it is ready."""
    with both.at_relay() as client:
        request = SpawnRequest(argv=argv, mode=Mode.EMBEDDED, orchestrator_id="bench")
        agent_id = client.call(endpoints.SPAWN, request).agent.id
    both.relay.get(agent_id, "running")
    if way == "keeper":
        directory = str(both.host.directory / "agents" / agent_id)
        attachment = await Attachment.open(directory, Viewer("bench", Size()))
        found: Terminal = Direct(attachment)
        close = attachment.close
    else:
        where = {"url": both.relay.url, "token": both.relay.home.admin_token()}
        client_ = SocketClient(**where if way == "relay" else {"socket": both.host.home.daemon_socket})
        query = AttachQuery(rows=24, columns=80)
        socket = await client_.connect(endpoints.ATTACH, path={"id": agent_id}, query=query)
        found, close = Remote(socket), socket.close
    await _until(found, b"ready")
    yield found
    await close()
    both.relay.stop(agent_id, kill=True)


async def _until(terminal: Terminal, text: bytes) -> int:
    """Read until `text` was shown; return how many bytes that were."""
    seen, tail = 0, b""
    while text not in tail:
        piece = await terminal.read()
        seen += len(piece)
        tail = (tail + piece)[-4096 - len(piece) :]
    return seen


async def _echoes(both: Stand, way: str) -> list[Row]:
    async with _terminal(both, way, [sys.executable, "-c", ECHO]) as terminal:
        took = []
        for _ in range(KEYS):
            began = stopwatch()
            await terminal.type(b"k")
            while not await terminal.read():
                pass
            took.append(stopwatch() - began)
    measured = f"{percentile(took, 50):.2f} / {percentile(took, 95):.2f} ms"
    return [Row(f"a key and its echo, by the {way}, p50 / p95", measured, note=f"{KEYS} keys")]


async def _flood(both: Stand, way: str) -> list[Row]:
    ours = {"relay": psutil.Process(both.relay.pid), "daemon": psutil.Process(both.host.pid)}
    used = {name: cpu_seconds([process]) for name, process in ours.items()}
    async with _terminal(both, way, FLOOD) as terminal:
        began = stopwatch()
        await terminal.type(b"k")
        shown = await _until(terminal, b"done")
        seconds = (stopwatch() - began) / 1000
    spent = ", ".join(f"{name} {cpu_seconds([process]) - used[name]:.1f} s" for name, process in ours.items())
    rate = PAINTED / seconds / 1e6
    note = f"{PAINTED / 1e6:.0f} MB by PTY, {shown / 1e6:.0f} MB of it shown, the rest skipped; used: {spent}"
    what = f"PTY output → spool → one viewer, by the {way}"
    return [Row(what, f"{rate:.0f} MB/s", f"≥ {AIM} MB/s", rate >= AIM, note)]
