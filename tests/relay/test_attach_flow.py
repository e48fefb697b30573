"""A viewer that does not read costs nobody anything: not the relay's memory, not the others' time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from relay_process import RelayProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Mode
from relay.wire.base import encode
from relay.wire.client import AsyncClient, Unreachable
from relay.wire.commands import AttachCommand, CommandEnvelope
from relay.wire.sockets import ClientSocket, SocketClient
from relay.wire.terminal import Attached, AttachQuery

PIECE = bytes(64 * 1024)
PIECES = 200 * 1024 * 1024 // len(PIECE)
IN_KERNELS = 24 * 1024 * 1024
"""What the sockets of a line through the relay hold at most by Linux's defaults (2 × 4 + 2 × 6 MiB)."""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[RelayProcess]:
    relay = RelayProcess(tmp_path)
    relay.start()
    yield relay
    if relay.process is not None:
        relay.end()


@pytest.fixture
async def client(process: RelayProcess) -> AsyncIterator[AsyncClient]:
    made = process.client()
    yield made
    await made.close()


class Line:
    """A viewer and its host's end, and how far the host has come with its flood."""

    def __init__(self, host: ClientSocket, viewer: ClientSocket) -> None:
        self.host = host
        self.viewer = viewer
        self.sent = 0

    async def flood(self) -> None:
        for number in range(PIECES):
            await self.host.send(number.to_bytes(4) + PIECE[4:])
            self.sent += len(PIECE)

    async def read(self) -> None:
        """Read the whole flood, and see that it is in order."""
        for number in range(PIECES):
            piece = await self.viewer.receive()
            assert (int.from_bytes(piece[:4]), len(piece)) == (number, len(PIECE))  # type: ignore[arg-type]

    async def echo_s(self) -> float:
        """How long a key takes to the host and back."""
        begun = time.perf_counter()
        await self.viewer.send(b"k")
        await self.host.send(await self.host.receive())
        await self.viewer.receive()
        return time.perf_counter() - begun


async def attached(
    process: RelayProcess,
    host: ScriptedHost,
    commands: AsyncIterator[CommandEnvelope],
    verify: ssl.SSLContext | bool = True,
) -> Line:
    sockets = SocketClient(process.url, token=process.token, verify=verify)
    query = AttachQuery(rows=24, columns=80)
    attaching = asyncio.create_task(sockets.connect(endpoints.ATTACH, path={"id": "ag-1"}, query=query))
    body = (await anext(commands)).body
    assert isinstance(body, AttachCommand)
    end = await host.open_terminal(body.stream_id)
    await end.send(encode(Attached(agent_id="ag-1", rows=24, columns=80, read_only=False)).decode())
    viewer = await attaching
    await viewer.receive()
    return Line(end, viewer)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody knows, and its key."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=relay",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.mark.needs("openssl")
async def test_a_terminal_over_tls_and_only_with_a_certificate_that_is_known(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    chain, key = (str(path) for path in certificate)
    relay = RelayProcess(tmp_path / "home", "--tls-cert", chain, "--tls-key", key)
    relay.start()
    trusted = ssl.create_default_context(cafile=chain)
    client = AsyncClient(relay.url, token=relay.token, verify=trusted)
    try:
        assert relay.url.startswith("https://")
        host = ScriptedHost(client)
        await host.register()
        await host.report(agent("ag-1", mode=Mode.EMBEDDED))
        async with host.commands() as commands:
            line = await attached(relay, host, commands, trusted)
            assert await line.echo_s() < 60
        with pytest.raises(Unreachable, match="certificate"):
            await SocketClient(relay.url, token=relay.token).connect(
                endpoints.ATTACH, path={"id": "ag-1"}, query=AttachQuery(rows=24, columns=80)
            )
    finally:
        await client.close()
        relay.end()


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.needs("linux")
async def test_a_flood_past_a_viewer_that_does_not_read(process: RelayProcess, client: AsyncClient) -> None:
    host = ScriptedHost(client)
    await host.register()
    await host.report(agent("ag-1", mode=Mode.EMBEDDED))
    assert process.process is not None
    async with host.commands() as commands:
        stopped = await attached(process, host, commands)
        reading = await attached(process, host, commands)
        calm = await attached(process, host, commands)
        before = most = rss(process.process.pid)
        holding = asyncio.create_task(stopped.flood())
        flooding = asyncio.create_task(reading.flood())
        seeing = asyncio.create_task(reading.read())
        echoes = []
        while not seeing.done():
            echoes.append(await calm.echo_s())
            most = max(most, rss(process.process.pid))
        await seeing
        await flooding

        assert most - before < 24 * 1024 * 1024, f"the relay grew by {(most - before) >> 20} MiB"
        assert not holding.done()
        assert stopped.sent < IN_KERNELS, "the host was not held back"
        echoes.sort()
        assert echoes[len(echoes) // 2] < 0.5, "a third viewer's keys had to wait"

        await asyncio.gather(holding, stopped.read())
        for line in (stopped, reading, calm):
            with contextlib.suppress(TimeoutError):
                await line.viewer.close()
                await line.host.close()
