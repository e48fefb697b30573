"""A CLI that stays when all was said is ended, and its work counts for what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster_processes import agent_argv

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Thresholds
from orchestrator.daemon.limits import Limits
from orchestrator.daemon.observations import Observations
from orchestrator.daemon.supervise import Supervisor
from orchestrator.store.database import Database
from relay.wire.agents import ENDED, ManagedAgent, Mode, Status
from spawners.client import KeeperSpawner
from spawners.launch import Launch, Stdin
from spawners.providers import events
from spawners.providers.base import Opening
from spawners.providers.command import Command
from spawners.providers.events import Event
from spawners.providers.listening import Silent
from spawners.providers.registry import Registry as Providers
from spawners.watch import Watches

AGENT = "ag-00000000000c"


class Talk(Silent):
    """All is said as soon as the program says anything."""

    finished = False

    def __init__(self, end: events.TurnEnded) -> None:
        self._end = end

    def feed(self, data: bytes) -> list[Event]:
        self.finished = True
        return [events.SessionStarted("s"), self._end]


class Staying(Command):
    name = "staying"
    binaries = ("staying",)

    def __init__(self, end: events.TurnEnded) -> None:
        self._end = end

    def dialogue(self, opening: Opening) -> Any:
        return Talk(self._end)


@pytest.fixture
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mu-") as found:
        yield found


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (
            events.TurnEnded(status="completed", text="done"),
            "succeeded",
            "its work was done; its CLI did",
        ),
        (
            events.TurnEnded(status="failed", error="API Error"),
            "failed",
            "API Error; its CLI did not end by itself",
        ),
    ],
)
async def test_a_cli_that_stays_is_ended(
    end: events.TurnEnded, status: str, words: str, folder: str, tmp_path: Path
) -> None:
    spawner = KeeperSpawner(f"{folder}/a", f"{folder}/s", f"{folder}/c")
    registry, watches = Registry(Database(str(tmp_path / "host.db")), "h"), Watches()
    limits = Limits(registry)
    observations = Observations(
        registry, Providers([Staying(end)]), f"{folder}/p", limits, watches, Thresholds()
    )
    supervisor = Supervisor(registry, lambda record: None, watches, observations)
    limits.stop_with(supervisor.stop)
    agent = ManagedAgent(
        id=AGENT, status=Status.STARTING, provider="staying", mode=Mode.HEADLESS, created_at=1
    )
    registry.create(AgentRecord(agent=agent, directory=spawner.ref(AGENT).directory))
    observations.journal(AGENT).begin(Opening(channel="talk", linger_s=0.05))
    argv = agent_argv("print:hello", "sleep")
    session = await spawner.spawn(
        Launch(agent_id=AGENT, argv=argv, env={"PATH": "/usr/bin"}, cwd="/", stdin=Stdin(b"", live=True))
    )

    supervisor.took(AGENT, session)

    ended = (await registry.until(AGENT, ENDED, 30)).agent
    assert ended.cause is not None
    assert ended.status == status, ended.cause.message
    assert words in ended.cause.message
    await supervisor.close()
    await observations.close()
