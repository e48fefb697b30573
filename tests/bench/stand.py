"""What the benches share: a relay and a daemon of their own, one row of the table, processes' numbers."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from running import Host, RelayServer

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, SpawnRequest
from relay.wire.client import Client
from relay.wire.health import Scope

__all__ = ["Row", "Stand", "cpu_seconds", "keepers", "percentile", "stand", "start_agents"]

SLEEPER = ["sleep", "3600"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `aim` and `measured` carry their units. `ok` is None where there is no aim."""

    what: str
    measured: str
    aim: str = ""
    ok: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stand:
    """A relay and one host that is registered with it."""

    relay: RelayServer
    host: Host

    @contextlib.contextmanager
    def at_relay(self) -> Iterator[Client]:
        with self.relay.client() as client:
            yield client


@contextlib.contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Start both, and end them and every agent behind them."""
    relay = RelayServer(folder / "relay")
    relay.start()
    host = Host(folder / "host")
    try:
        token = relay.new_token(Scope.ORCHESTRATOR, "bench")
        host.options = ("--relay", relay.url, "--id", "bench")
        host.variables = {"MUSTER_TOKEN": token, "MUSTER_POLICY_MAX_AGENTS": "5000"}
        host.start()
        relay.wait_for_host("bench")
        yield Stand(relay, host)
    finally:
        host.end_agents()
        relay.end()


def start_agents(
    client: Client, count: int, argv: Sequence[str] = SLEEPER, **fields: Any
) -> list[ManagedAgent]:
    """Start this many agents, by default such as do nothing for an hour."""
    request = SpawnRequest(argv=list(argv), **fields)
    return [client.call(endpoints.SPAWN, request).agent for _ in range(count)]


def keepers(home: Path) -> list[psutil.Process]:
    """The keepers of this home's agents, by what each has written down of itself."""
    found = []
    for claim in home.glob("agents/*/child.json"):
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            found.append(psutil.Process(json.loads(claim.read_text())["keeperPid"]))
    return found


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time that these have used until now; of one that has ended, nothing."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def stopwatch() -> float:
    """Milliseconds on a clock that only goes forward."""
    return time.perf_counter() * 1000
