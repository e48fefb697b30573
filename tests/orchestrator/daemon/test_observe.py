"""What is heard and seen of one agent, as its record shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.agents import activity
from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Thresholds
from orchestrator.daemon.hooks import Hooks
from orchestrator.daemon.observe import ON_SCREEN, Observer
from orchestrator.store.database import Database
from relay.wire.agents import Activity, ManagedAgent, Mode, Status
from relay.wire.base import now_ms
from relay.wire.steering import HookReport
from spawners.providers import events
from spawners.providers.command import Command
from spawners.providers.events import Event

AGENT = "ag-0123456789ab"
ASKED = events.ApprovalAsked("toolu_1", "Bash", '{"command":"rm x"}', "rm x")


class Hooked(Command):
    """A provider whose hooks say what happens in one word."""

    WORDS: Mapping[str, list[Event]] = {
        "busy": [events.TurnStarted()],
        "tool": [events.ToolStarted("1", "Bash")],
        "asks": [ASKED],
        "ran": [events.ToolFinished(ASKED.id)],
        "done": [events.TurnEnded(status="completed", text="done")],
    }

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        return self.WORDS.get(payload["event"], [])


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(Database(str(tmp_path / "host.db")), "h")
    agent = ManagedAgent(
        id=AGENT, status=Status.RUNNING, provider="claude", mode=Mode.EMBEDDED, created_at=1, started_at=1
    )
    made.create(AgentRecord(agent=agent, directory=str(tmp_path)))
    return made


@pytest.fixture
def observe(registry: Registry) -> Callable[..., Observer]:
    def make(**thresholds: Any) -> Observer:
        return Observer(registry, AGENT, lambda *_: None, None, Thresholds(**thresholds), lambda: 0)

    return make


def agent(registry: Registry) -> ManagedAgent:
    record = registry.get(AGENT)
    assert record is not None
    return record.agent


def doing(registry: Registry) -> tuple[Activity | None, str | None]:
    found = agent(registry)
    return found.activity, found.activity_source


@pytest.fixture
def hooks(observe: Callable[..., Observer], tmp_path: Path) -> Hooks:
    observer = observe()
    observer.caught_up()
    return Hooks(Hooked(), observer, str(tmp_path / "hooks.jsonl"))


async def test_hooks_tell_what_it_does_and_that_it_is_ready(hooks: Hooks, registry: Registry) -> None:
    hooks.take(HookReport(payload={"event": "busy"}, at=now_ms()))
    assert doing(registry) == (Activity.BUSY, "hook")
    assert agent(registry).ready_at is not None

    hooks.take(HookReport(payload={"event": "asks"}))
    assert doing(registry) == (Activity.BLOCKED, "hook")
    assert agent(registry).attention == "asks for approval: rm x"
    assert [asked.title for asked in agent(registry).approvals] == ["rm x"]

    hooks.take(HookReport(payload={"event": "ran"}))
    assert doing(registry) == (Activity.BUSY, "hook"), "its tool has run: somebody has allowed it"
    assert [asked.state for asked in agent(registry).approvals] == ["withdrawn"]

    hooks.take(HookReport(payload={"event": "done"}))
    assert doing(registry) == (Activity.IDLE, "hook")
    assert (agent(registry).attention, agent(registry).result) == (None, "done")


async def test_what_was_left_by_hooks_is_taken_once_and_in_order(
    hooks: Hooks, registry: Registry, tmp_path: Path
) -> None:
    left, at = tmp_path / "hooks.jsonl", now_ms() - 1000
    both = HookReport(payload={"event": "tool"}, at=at)
    hooks.take(both)  # taken, but its program had given up waiting and left it all the same
    lines = [{"at": at, "payload": {"event": "tool"}}, {"at": at + 1, "payload": {"event": "tool"}}]
    left.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"half')

    hooks.take(HookReport(payload={"event": "done"}, at=at + 2))

    assert agent(registry).tool_calls == 2
    assert doing(registry) == (Activity.IDLE, "hook")
    assert not left.exists()
    hooks.collect()
    assert agent(registry).tool_calls == 2


async def test_a_new_daemon_goes_on_where_the_old_one_was(
    hooks: Hooks, registry: Registry, observe: Callable[..., Observer]
) -> None:
    for word in ("tool", "asks"):
        hooks.take(HookReport(payload={"event": word}))
    before = agent(registry)

    later = observe()
    later.caught_up()

    assert agent(registry) == before
    later.heard([events.ToolStarted("2", "Bash")], 0, "hook")
    assert agent(registry).tool_calls == 2


async def test_silence_lets_the_screen_be_believed(
    registry: Registry, observe: Callable[..., Observer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "SETTLED_MS", 50)
    observer = observe()
    observer.caught_up()
    observer.heard([events.TurnStarted(), ASKED], now_ms(), "hook")
    observer.saw("screen", Activity.IDLE, now_ms())
    assert doing(registry) == (Activity.BLOCKED, "hook")

    async with asyncio.timeout(10):
        record = await registry.when(AGENT, lambda found: found.activity is Activity.IDLE, None)

    assert record.agent.activity_source == "screen"
    assert [asked.state for asked in record.agent.approvals] == ["withdrawn"], "somebody has answered there"
    assert record.agent.attention is None


async def test_a_busy_agent_that_falls_silent_is_seen_without_another_word(
    registry: Registry, observe: Callable[..., Observer]
) -> None:
    observer = observe(silent_ms=50)
    observer.caught_up()
    observer.heard([events.TurnStarted()], 0)
    assert agent(registry).attention is None

    async with asyncio.timeout(10):
        record = await registry.when(AGENT, lambda found: found.attention is not None, None)
    assert record.agent.attention is not None
    assert record.agent.attention.startswith("no sign of progress since ")

    observer.heard([events.ToolFinished("1")], 0)
    assert agent(registry).attention is None


async def test_what_is_heard_again_is_shown_as_what_it_comes_to(
    registry: Registry, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    seen = registry.events(0)
    assert (await anext(seen)).type == "log.gap"
    assert (await anext(seen)).type == "agent.created"
    for _ in range(5):
        observer.heard([events.TurnStarted(), events.TurnEnded(status="completed", text="x", turns=1)], 1)

    observer.caught_up()

    assert (await anext(seen)).data["agent"].result == "x"
    assert doing(registry) == (Activity.IDLE, "stream")
    assert agent(registry).activity_at == 1


async def test_an_error_on_the_screen_needs_attention_although_it_waits(
    registry: Registry, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    observer.caught_up()

    observer.saw("screen", Activity.IDLE, now_ms(), "waits for a message after an error: API Error: 500")
    assert doing(registry) == (Activity.IDLE, "screen")
    assert agent(registry).attention == "waits for a message after an error: API Error: 500"

    observer.saw("screen", Activity.BUSY, now_ms())
    assert agent(registry).attention is None


def question(name: str) -> events.ApprovalAsked:
    return events.ApprovalAsked(f"{ON_SCREEN}{name}", "", title=name)


async def test_another_menu_on_the_screen_is_another_question(
    registry: Registry, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    observer.caught_up()

    observer.asks_on_screen(question("one"))
    observer.asks_on_screen(question("two"))

    states = {asked.title: asked.state for asked in agent(registry).approvals}
    assert states == {"one": "withdrawn", "two": "pending"}


async def test_what_hooks_have_told_of_is_not_asked_again_by_its_menu(
    registry: Registry, observe: Callable[..., Observer]
) -> None:
    observer = observe()
    observer.caught_up()
    observer.heard([ASKED], 0, "hook")

    observer.asks_on_screen(question("menu"))

    assert [asked.tool for asked in agent(registry).approvals] == ["Bash"]
    later = observe()  # of a new daemon, to which no hook has told anything
    later.caught_up()
    later.asks_on_screen(question("menu"))
    assert [(asked.tool, asked.state) for asked in agent(registry).approvals] == [("Bash", "pending")]


def test_a_process_is_looked_at_anew_by_a_new_daemon(
    observe: Callable[..., Observer], registry: Registry
) -> None:
    observer = observe()
    observer.caught_up()
    observer.saw("process", Activity.BLOCKED, now_ms(), "stopped")
    assert doing(registry) == (Activity.BLOCKED, "process")

    later = observe()
    later.caught_up()
    later.saw("screen", Activity.IDLE, now_ms())

    assert doing(registry) == (Activity.IDLE, "screen")
