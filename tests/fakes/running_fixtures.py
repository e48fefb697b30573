"""Fixtures around `running`: homes, relays and hosts that are gone after the test, whatever it did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import speaking
from running import Host, RelayServer

from relay.wire.health import Scope


def member(relay: RelayServer, home: Path, *options: str, **variables: str) -> Host:
    """A host with an id, its home's name, and a token of its own for `relay`; not started yet."""
    token = relay.new_token(Scope.ORCHESTRATOR, home.name)
    known = ("--relay", relay.url, "--id", home.name)
    return Host(home, *known, *options, MUSTER_TOKEN=token, **variables)


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
    server.remove()


@pytest.fixture
def make_member(relay: RelayServer, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make a host with an id and a token of its own, registered at the relay."""
    hosts: list[Host] = []

    def make(name: str, *options: str, **variables: str) -> Host:
        hosts.append(member(relay, tmp_path / name, *options, **variables))
        hosts[-1].start()
        relay.wait_for_host(name)
        return hosts[-1]

    yield make
    for host in hosts:
        host.end_agents()


# -- one for all tests of a module: its ids, labels and what has ended are there for the next test too


@pytest.fixture(scope="module")
def lasting_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("lasting") / "host")
    yield host
    host.end_agents()


@pytest.fixture
def shared_host(lasting_host: Host) -> Iterator[Host]:
    """A running host that other tests of the module had before; none of their agents lives."""
    lasting_host.revive()
    yield lasting_host
    lasting_host.revive()
    lasting_host.stop_agents()


@dataclass(frozen=True)
class Team:
    """A relay and the hosts that are registered at it, by id."""

    relay: RelayServer
    hosts: dict[str, Host]

    def revive(self) -> None:
        """Start again what has been ended, and wait until all of them are together."""
        for server in (self.relay, *self.hosts.values()):
            server.revive()
        for name in self.hosts:
            self.relay.wait_for_host(name)


@pytest.fixture(scope="module")
def lasting_team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("lasting")
    relay = RelayServer(folder / "relay", "--heartbeat-ms", "1000")
    relay.start()
    hosts = {name: member(relay, folder / name) for name in ("a", "b")}
    yield Team(relay, hosts)
    for host in hosts.values():
        host.end_agents()
    relay.remove()


@pytest.fixture
def team(lasting_team: Team) -> Iterator[Team]:
    """A relay and the hosts `a` and `b`, as `shared_host`."""
    lasting_team.revive()
    yield lasting_team
    lasting_team.revive()
    for host in lasting_team.hosts.values():
        host.stop_agents()


# -- one on whose PATH `claude` is scripted


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripted `claude` writes down what it was started with and told."""
    return speaking.install(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def speaking_host(tmp_path_factory: pytest.TempPathFactory, ledger: Path) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    host = Host(folder / "h", PATH=f"{ledger.parent}{os.pathsep}{os.environ['PATH']}")
    host.start()
    yield host
    host.end_agents()
