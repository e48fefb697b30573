"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Host, RelayServer


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
    server = RelayServer(tmp_path / "relay")
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.end()
