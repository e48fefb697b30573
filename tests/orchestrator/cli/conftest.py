"""A home, the `muster` command in it, and a server whose answers the test chooses."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_api import FakeServer
from muster_command import Muster, a_home
from running_fixtures import ledger, speaking_host

from relay.wire.home import Home

__all__ = ["ledger", "speaking_host"]


@pytest.fixture
def home() -> Iterator[Home]:
    """A short path: sockets live below it."""
    folder = Path(tempfile.mkdtemp(prefix="muster-cli-"))
    yield a_home(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def muster(home: Home) -> Iterator[Muster]:
    command = Muster(home)
    yield command
    command.end()


@pytest.fixture
def daemon(home: Home) -> Iterator[FakeServer]:
    """A fake daemon on this home's socket."""
    server = FakeServer(Path(home.daemon_socket))
    yield server
    server.close()


@pytest.fixture
def relay(home: Home) -> Iterator[FakeServer]:
    """A fake relay; tests decide who knows its address."""
    server = FakeServer()
    yield server
    server.close()
