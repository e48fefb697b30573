"""A real daemon beside a relay that follows a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running import Host
from running_fixtures import ledger, speaking_host
from scripted_relay import ScriptedRelay

__all__ = ["ledger", "speaking_host"]


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with ScriptedRelay().serving() as relay:
        yield relay


@pytest.fixture
async def host(relay: ScriptedRelay, tmp_path: Path) -> AsyncIterator[Host]:
    """A daemon that has been told of the relay, not started yet."""
    host = Host(tmp_path / "host", "--relay", relay.url, "--id", "h", "--token", "t")
    yield host
    host.end_agents()
