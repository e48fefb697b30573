"""What becomes of a window is written down, and acted on, also where that cannot be at once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from orchestrator.agents.record import AgentRecord, StopIntent, WindowKey, new_agent_id
from orchestrator.agents.registry import Registry
from orchestrator.store.database import Database
from orchestrator.windows.attempts import Attempt, Attempts, hashed
from orchestrator.windows.farewell import CLOSED, DETACHED, Farewells
from orchestrator.windows.opening import Manner, NoWindow, Opening
from orchestrator.windows.presence import Presence
from orchestrator.windows.reports import Reports
from orchestrator.windows.scripts import Scripts
from orchestrator.windows.watching import Watching
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.base import encode
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home
from relay.wire.windows import Answer, Window, WindowReport, WindowState

WINDOW = "w-0123456789ab"


class Watched:
    """An agent in a window, and who watches that; the database can be full."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(str(folder / "host.db"))
        self.registry = Registry(self.database, "here")
        self.home = Home(str(folder), str(folder), str(folder))
        self.stopped: list[str] = []
        self.presence = Presence(self.home)
        self.watching = Watching(self.registry, Farewells(self.home), self.presence, self.stop, "")

    def stop(self, agent_id: str, intent: StopIntent) -> None:
        self.registry.change(agent_id, "agent.changed", record={"stop": intent}, status=Status.STOPPING)
        self.stopped.append(agent_id)

    def full(self, *, full: bool) -> None:
        self.database.connection.execute(f"PRAGMA query_only={int(full)}")

    def agent(self, window: Window, key: WindowKey, status: Status = Status.RUNNING) -> str:
        agent = ManagedAgent(
            id=new_agent_id(), status=status, provider="command", mode=Mode.TERMINAL, created_at=5,
            window=window,
        )  # fmt: skip
        record = AgentRecord(agent=agent, directory="/nowhere", caller="local", window=key)
        return self.registry.create(record).id

    def window(self, agent_id: str) -> Window:
        record = self.registry.get(agent_id)
        assert record is not None
        assert record.agent.window is not None
        return record.agent.window


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.parametrize(("word", "stops"), [("", True), (CLOSED, True), (DETACHED, False)])
async def test_the_end_of_a_window_is_acted_on_once_there_is_space_to_write_it_down(
    watched: Watched, word: str, stops: bool
) -> None:
    shown = Window(id=WINDOW, state=WindowState.OPEN, pid=os.getpid(), on_close="stop")
    agent_id = watched.agent(shown, WindowKey(token_hash="", started=1))
    watched.watching.watch(agent_id)
    watched.full(full=True)
    with pytest.raises(ApiError) as refused:
        watched.stop(agent_id, StopIntent(by="x", at=1, grace_s=0))
    assert refused.value.code is Code.STORAGE_FULL
    watched.watching.closed(agent_id, WINDOW, word)
    assert watched.window(agent_id).is_open
    watched.full(full=False)
    looking = asyncio.create_task(watched.watching.run())
    await watched.registry.when(agent_id, lambda agent: not (agent.window and agent.window.is_open), 20)
    looking.cancel()
    assert watched.window(agent_id).state is WindowState.CLOSED
    assert watched.stopped == [agent_id] * stops


async def test_what_a_window_has_said_is_known_to_a_daemon_that_follows_one_that_could_not_write_it_down(
    watched: Watched, tmp_path: Path
) -> None:
    shown = Window(id=WINDOW, state=WindowState.OPEN, pid=os.getpid(), on_close="stop")
    agent_id = watched.agent(shown, WindowKey(token_hash="", started=1))
    Farewells(watched.home).leave(WINDOW, DETACHED)
    watched.full(full=True)
    watched.watching.recover()
    killed = asyncio.create_task(watched.watching.run())
    await asyncio.sleep(0)
    killed.cancel()
    assert watched.window(agent_id).is_open

    after = Watched(tmp_path)
    after.watching.recover()
    looking = asyncio.create_task(after.watching.run())
    await after.registry.when(agent_id, lambda agent: not (agent.window and agent.window.is_open), 20)
    looking.cancel()
    assert after.window(agent_id).reason == "detached by its keys"
    assert after.stopped == []
    assert not list(tmp_path.glob("w-*"))


async def test_a_window_that_reports_while_it_is_given_up_is_told_to_close(watched: Watched) -> None:
    attempts, tokens = Attempts(), []

    def write(window_id: str, token: str) -> tuple[str, ...]:
        tokens.append(token)
        return ("true",)

    attempt: Attempt = attempts.begin("ag-0123456789ab", write)
    key = WindowKey(token_hash=attempt.token_hash)
    agent_id = watched.agent(Window(id=attempt.id), key, Status.STARTING)
    attempt.agent_id = agent_id
    attempts.drop(attempt.id)
    reports = Reports(watched.registry, attempts, watched.watching, watched.presence, "")
    said = WindowReport(token=tokens[0], pid=os.getpid(), started=1)
    answer = asyncio.create_task(reports.report(attempt.id, said))
    await watched.registry.when(agent_id, lambda agent: bool(agent.window and agent.window.is_open), 20)
    failed = Window(id=attempt.id, state=WindowState.FAILED)
    watched.registry.change(agent_id, "agent.changed", record={"window": None}, window=failed)
    watched.registry.change(agent_id, "agent.changed", status=Status.RUNNING, pid=os.getpid())
    assert (await answer).answer is Answer.VOID


async def test_by_what_a_terminal_knows_a_window_is_for_its_host_alone(watched: Watched) -> None:
    agent_id = watched.agent(Window(id=WINDOW), WindowKey(token_hash=hashed("token")))
    watched.registry.change(agent_id, "agent.changed", pid=os.getpid())
    reports = Reports(watched.registry, Attempts(), watched.watching, watched.presence, "")
    handles = {"KITTY_LISTEN_ON": "unix:/run/kitty", "TMUX": "x" * 100_000}
    said = WindowReport(token="token", pid=os.getpid(), started=1, handles=handles)
    assert (await reports.report(WINDOW, said)).answer is Answer.GO
    record = watched.registry.find(agent_id)
    assert record.window is not None
    assert record.window.handles == {"KITTY_LISTEN_ON": "unix:/run/kitty"}
    assert b"KITTY" not in encode(record.agent)


async def test_a_window_that_closes_while_a_terminal_is_looked_for_stays_closed(watched: Watched) -> None:
    shown = Window(id=WINDOW, state=WindowState.OPEN, pid=os.getpid(), on_close="stop")
    agent_id = watched.agent(shown, WindowKey(token_hash="", started=1))
    before = watched.registry.find(agent_id)
    watched.watching.closed(agent_id, WINDOW, DETACHED)
    opening = Opening(watched.registry, Attempts(), Scripts(watched.home), timeout_s=1, shelter=None)
    with pytest.raises(NoWindow):
        await opening.none(before, "no terminal is installed", Manner())
    assert not watched.window(agent_id).is_open
