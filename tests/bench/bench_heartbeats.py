"""What heartbeats cost a relay: hosts that exist only as HTTP, at the rate of 10,000 and at full speed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import psutil
from running import RelayServer
from stand import Row, cpu_seconds, percentile

from relay.wire import endpoints
from relay.wire.base import encode
from relay.wire.orchestrators import Heartbeat, Load, Registration

__all__ = ["heartbeats"]

HOSTS = 10_000
RATE = HOSTS / 15
PACED_S = 15.0
FULL_S = 5.0
CONNECTIONS = 16


def heartbeats(folder: Path) -> list[Row]:
    # Leases long enough that none runs out before all hosts are registered.
    relay = RelayServer(folder / "relay", "--heartbeat-ms", "120000")
    relay.start()
    try:
        process = psutil.Process(relay.pid)
        load = _Hosts(relay)
        began = time.perf_counter()
        asyncio.run(load.register())
        registered = HOSTS / (time.perf_counter() - began)
        used = cpu_seconds([process])
        times = asyncio.run(load.beat(PACED_S, RATE))
        percent = 100 * (cpu_seconds([process]) - used) / PACED_S
        most = asyncio.run(load.beat(FULL_S, None))
    finally:
        relay.end()
    p99, done = percentile(times, 99), len(times) / PACED_S
    note = f"{done:.0f}/s reached, {HOSTS:,} hosts, SQLite; p50 {percentile(times, 50):.1f} ms"
    return [
        Row(f"relay CPU at {RATE:.0f} heartbeats/s", f"{percent:.0f} %", "≤ 60 %", percent <= 60, note),
        Row("heartbeat answered, p99", f"{p99:.1f} ms", "≤ 50 ms", p99 <= 50, "at that rate"),
        Row("heartbeats/s, as fast as it goes", f"{len(most) / FULL_S:.0f}/s"),
        Row("registrations/s", f"{registered:.0f}/s", note="each is on disk when it is answered"),
    ]


class _Hosts:
    """Heartbeats as bytes on kept connections, so that the load costs less than the relay."""

    def __init__(self, relay: RelayServer) -> None:
        self._port = relay.port
        self._token = relay.home.admin_token()
        self._beats: list[bytes] = []

    async def register(self) -> None:
        self._beats = [b""] * HOSTS
        numbers = iter(range(HOSTS))

        async def connection() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for number in numbers:
                self._beats[number] = await self._registered(reader, writer, number)
            writer.close()

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))

    async def _registered(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bytes:
        """Register one host and return the heartbeat it will send."""
        name, instance = f"host-{number}", f"i{number}"
        body = Registration(id=name, hostname=name, instance_id=instance, state_id=f"s{number}")
        reply = json.loads(await self._call(reader, writer, self._request(endpoints.REGISTER.url(), body)))
        load = Load(running=3, cpus=4, load_average=0.5, memory_total=1, memory_available=1)
        now = int(time.time() * 1000)
        beat = Heartbeat(instance_id=instance, epoch=reply["epoch"], sent_at=now, load=load)
        return self._request(endpoints.HEARTBEAT.url(id=name), beat)

    def _request(self, path: str, body: object) -> bytes:
        data = encode(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {self._token}\r\n"
        )
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data

    async def _call(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> bytes:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"the relay answered {head.decode()}{body.decode()}")
        return body

    async def beat(self, seconds: float, rate: float | None) -> list[float]:
        """Return the times of all answers in ms. With a rate each beat is timed from when it was due."""
        times: list[float] = []
        began = time.perf_counter()
        count = 0

        async def connection() -> None:
            nonlocal count
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while time.perf_counter() - began < seconds:
                number, count = count, count + 1
                due = began + number / rate if rate else time.perf_counter()
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await self._call(reader, writer, self._beats[number % HOSTS])
                times.append((time.perf_counter() - due) * 1000)
            writer.close()

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return times
