"""Which runs are above their limits, and how one that is ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.agents.registry import Registry
from orchestrator.daemon.limits import Limits, reached
from orchestrator.store.database import Database
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.errors import ApiError, Code
from spawners.providers.tally import Outcome

AGENT = "ag-0123456789ab"


def limited(**limits: Any) -> ManagedAgent:
    facts = {"status": Status.RUNNING, "provider": "claude", "mode": Mode.HEADLESS, "created_at": 1}
    return ManagedAgent(id=AGENT, **facts, **limits)


@pytest.mark.parametrize(
    ("limits", "outcome", "words"),
    [
        ({}, {"turns": 100, "cost_usd": 100.0}, ""),
        ({"max_turns": 3}, {"turns": 3}, ""),
        ({"max_turns": 3}, {"turns": 4}, "the model has answered 3 times and goes on (maxTurns)"),
        ({"max_turns": 3}, {"turns": 4, "finished": True}, ""),
        (
            {"max_turns": 3, "conversation": True},
            {"turns": 4, "finished": True},
            "the model has answered 3 times and goes on (maxTurns)",
        ),
        ({"max_cost_usd": 0.5}, {"cost_usd": 0.5}, ""),
        ({"max_cost_usd": 0.5}, {"turns": 4}, ""),
        ({"max_cost_usd": 0.5}, {"cost_usd": 0.75}, "it has cost 0.75 of 0.5 USD (maxCostUsd)"),
        ({"max_cost_usd": 0.5}, {"cost_usd": 0.75, "finished": True}, ""),
    ],
)
def test_what_is_too_much(limits: dict[str, Any], outcome: dict[str, Any], words: str) -> None:
    assert reached(limited(**limits), Outcome(**outcome)) == words


def test_a_stop_that_cannot_be_written_down_is_tried_again(tmp_path: Path) -> None:
    registry = Registry(Database(str(tmp_path / "host.db")), "h")
    registry.create(AgentRecord(agent=limited(max_turns=1), directory=str(tmp_path)))
    stops: list[str] = []

    def stop(agent_id: str, intent: StopIntent) -> AgentRecord:
        stops.append(intent.limit)
        raise ApiError(Code.STORAGE_FULL, "full")

    limits = Limits(registry)
    limits.stop_with(stop)

    limits.check(AGENT, Outcome(turns=2))
    limits.check(AGENT, Outcome(turns=2))

    assert len(stops) == 2
