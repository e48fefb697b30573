"""Which runs are above their limits, and how one that is ends."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.daemon.limits import reached
from relay.wire.agents import ManagedAgent, Mode, Status
from spawners.providers.tally import Outcome


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
    agent = ManagedAgent(
        id="ag-0123456789ab",
        status=Status.RUNNING,
        provider="claude",
        mode=Mode.HEADLESS,
        created_at=1,
        **limits,
    )

    assert reached(agent, Outcome(**outcome)) == words
