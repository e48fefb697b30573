"""Agents that are scripted interfaces, as a daemon's callers see them (see `tui.py`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from muster_processes import until
from running import Host
from tui_fixtures import tui_argv

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode
from relay.wire.terminal import ScreenQuery
from spawners.attach import Attachment
from spawners.launch import Size, Viewer


def command(host: Host, *words: str, shows: str = "─") -> str:
    agent = host.spawn(*tui_argv(*words), mode=Mode.EMBEDDED)
    until(lambda: shows in screen(host, agent.id), f"{shows} on the screen")
    return agent.id


def claude(host: Host, *words: str, shows: str = "─") -> str:
    env = {"FAKE_WORDS": " ".join(words)}
    agent: ManagedAgent = host.spawn(provider="claude", mode=Mode.EMBEDDED, env=env)
    until(lambda: shows in screen(host, agent.id), f"{shows} on the screen")
    return agent.id


def screen(host: Host, agent_id: str) -> str:
    with host.client() as client:
        return client.call(endpoints.GET_SCREEN, path={"id": agent_id}, query=ScreenQuery()).content


@contextlib.asynccontextmanager
async def person(host: Host, agent_id: str) -> AsyncIterator[Attachment]:
    """Ann, who is attached to the agent's terminal."""
    directory = Path(host.home.state) / "agents" / agent_id
    attachment = await Attachment.open(str(directory), Viewer("ann", Size()))
    yield attachment
    await attachment.close()
