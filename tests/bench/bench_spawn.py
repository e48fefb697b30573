"""From asking for an agent until its program is executed: on the host, and through the relay."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

from stand import Row, percentile, stand, stopwatch

from relay.wire import endpoints
from relay.wire.agents import SpawnRequest
from relay.wire.queries import AgentQuery
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.launch import Launch

__all__ = ["on_host", "through_relay"]

COUNT = 200
WARM_UP = 10


def on_host(folder: Path) -> list[Row]:
    """`KeeperSpawner.spawn` returns once exec has succeeded; one after the other, each collected.

    Beside it what starting and collecting `true` takes just then, which tells how busy the machine is.
    """
    rows = []
    for how, aim in (("forked", 2), ("executed", 10)):
        times, bare = asyncio.run(_spawn_directly(folder / how, how == "forked"))
        p50, p95 = percentile(times, 50), percentile(times, 95)
        note = f"p10 {percentile(times, 10):.1f}, p95 {p95:.1f} ms; n={COUNT}; `true` alone {bare:.1f} ms"
        rows.append(
            Row(f"spawn on the host, keeper {how}, p50", f"{p50:.1f} ms", f"≤ {aim} ms", p50 <= aim, note)
        )
    return rows


async def _spawn_directly(folder: Path, zygote: bool) -> tuple[list[float], float]:
    keepers = Keepers(str(folder / "cache"), zygote=zygote)
    keepers.begin()
    if zygote:
        await keepers.ready()
    spawner = KeeperSpawner(
        str(folder / "agents"), str(folder / "run"), str(folder / "cache"), keepers=keepers
    )
    times, bare = [], []
    for number in range(WARM_UP + COUNT):
        began = stopwatch()
        await asyncio.to_thread(subprocess.run, ["true"], check=True)
        bare.append(stopwatch() - began)
        launch = Launch(f"ag-{number:012x}", ("true",), {"PATH": os.environ["PATH"]}, "/")
        began = stopwatch()
        session = await spawner.spawn(launch)
        times.append(stopwatch() - began)
        await session.wait()
        await session.detach()
        await spawner.forget(session.ref)
    await keepers.close()
    return times[WARM_UP:], percentile(bare, 50)


def through_relay(folder: Path) -> list[Row]:
    """From POST until the start that the host reports, and until `GET ?wait=running` is answered."""
    answered, started, accepted = [], [], []
    with stand(folder) as both, both.at_relay() as client:
        for _ in range(WARM_UP + COUNT):
            request = SpawnRequest(argv=["true"])
            began, at = stopwatch(), time.time() * 1000
            agent = client.call(endpoints.SPAWN, request).agent
            accepted.append(stopwatch() - began)
            query = AgentQuery(wait="running", timeout_ms=10_000)
            agent = client.call(endpoints.GET_AGENT, path={"id": agent.id}, query=query)
            answered.append(stopwatch() - began)
            client.call(
                endpoints.GET_AGENT,
                path={"id": agent.id},
                query=AgentQuery(wait="ended", timeout_ms=10_000),
            )
            assert agent.started_at is not None
            started.append(agent.started_at - at)
    del answered[:WARM_UP], started[:WARM_UP], accepted[:WARM_UP]
    rows = []
    for what, times in (("child running", started), ("GET wait=running answered", answered)):
        for percent, aim in ((50, 10), (95, 20)):
            value = percentile(times, percent)
            note = f"n={COUNT}" if what != "child running" else f"n={COUNT}, ±1 ms: the host's clock"
            rows.append(
                Row(f"POST → {what}, p{percent}", f"{value:.1f} ms", f"≤ {aim} ms", value <= aim, note)
            )
    p50 = percentile(accepted, 50)
    return [*rows, Row("POST /api/spawns answered, p50", f"{p50:.1f} ms", note="stored durably by then")]
