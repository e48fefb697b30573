"""Fixtures around `running`: homes, relays and hosts that are gone after the test, whatever it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Host, RelayServer

from relay.wire.health import Scope


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make a host under a home of its own; whatever is left of it is ended after the test."""
    hosts: list[Host] = []

    def make(name: str = "host", *options: str, **variables: str) -> Host:
        hosts.append(Host(tmp_path / name, *options, **variables))
        return hosts[-1]

    yield make
    for host in hosts:
        host.end_agents()


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    found = make_host()
    found.start()
    return found


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RelayServer]:
    server = RelayServer(tmp_path / "relay", "--heartbeat-ms", "1000")
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.end()


@pytest.fixture
def make_member(relay: RelayServer, make_host: Callable[..., Host]) -> Callable[[str], Host]:
    """Make a host with an id and a token of its own, registered at the relay."""

    def make(name: str, *options: str, **variables: str) -> Host:
        token = relay.new_token(Scope.ORCHESTRATOR, name)
        host = make_host(name, "--relay", relay.url, "--id", name, *options, MUSTER_TOKEN=token, **variables)
        host.start()
        relay.wait_for_host(name)
        return host

    return make
