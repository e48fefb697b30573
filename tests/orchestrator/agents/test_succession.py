"""What follows an agent that has ended: a table of endings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.agents.record import AgentRecord, StopIntent, Successor
from orchestrator.agents.succession import Ended, follow, following, pause_ms
from orchestrator.agents.verdict import Verdict
from relay.wire.agents import Activity, Cause, CauseKind, ManagedAgent, Mode, Status
from spawners.providers.tally import Outcome

MINUTE = 60_000


def record(stop: StopIntent | None = None, **shown: Any) -> AgentRecord:
    inner = {name: shown.pop(name) for name in ("attempt", "holds", "restart_limit") if name in shown}
    facts = {"provider": "claude", "mode": Mode.HEADLESS, "created_at": 0, "started_at": 0, **shown}
    agent = ManagedAgent(id="ag-1", status=Status.RUNNING, **facts)
    return AgentRecord(agent=agent, directory="/x", stop=stop, **inner)


def ended(record: AgentRecord, status: Status, kind: CauseKind = CauseKind.EXIT, **facts: Any) -> Ended:
    return Ended(record=record, verdict=Verdict(status, Cause(kind=kind, message="")), at=1000, **facts)


def stopped(by: str = "system", **evidence: str) -> StopIntent:
    return StopIntent(by=by, at=0, grace_s=1, **evidence)


FAILED, SUCCEEDED, LOST = Status.FAILED, Status.SUCCEEDED, Status.LOST
FOLLOWED = [
    (FAILED, CauseKind.EXIT, None, "on-failure always"),
    (FAILED, CauseKind.SIGNAL, None, "on-failure always"),
    (FAILED, CauseKind.OOM, stopped(oom="x"), "on-failure always"),
    (FAILED, CauseKind.KEEPER_KILLED, None, "on-failure always"),
    (LOST, CauseKind.HOST_REBOOT, None, "on-failure always"),
    (LOST, CauseKind.KEEPER_KILLED, None, "on-failure always"),
    (SUCCEEDED, CauseKind.EXIT, None, "always"),
    (SUCCEEDED, CauseKind.EXIT, stopped(over="done"), "always"),
    (LOST, CauseKind.UNKNOWN, None, ""),
    (Status.CANCELLED, CauseKind.STOPPED, stopped("me"), ""),
    (FAILED, CauseKind.EXIT, stopped("me"), ""),
    (FAILED, CauseKind.OOM, stopped("me", oom="x"), ""),
    (SUCCEEDED, CauseKind.EXIT, stopped("me", over="done"), ""),
    (FAILED, CauseKind.STOPPED, stopped(limit="turns"), ""),
    (Status.TIMEOUT, CauseKind.TIMEOUT, None, ""),
    (Status.TIMEOUT, CauseKind.TIMEOUT, stopped(idle="x"), ""),
    (Status.REJECTED, CauseKind.REJECTED, None, ""),
    (FAILED, CauseKind.EXEC_FAILED, None, ""),
]


@pytest.mark.parametrize(("status", "kind", "stop", "policies"), FOLLOWED)
def test_which_endings_are_followed(
    status: Status, kind: CauseKind, stop: StopIntent | None, policies: str
) -> None:
    found = [
        policy
        for policy in ("never", "on-failure", "always")
        if follow(ended(record(stop, restart=policy), status, kind)).successor
    ]
    assert found == policies.split()


def test_a_successor_that_could_not_be_executed_counts_as_a_failure() -> None:
    again = record(restart="on-failure", restarts=1, attempt=1)
    assert follow(ended(again, FAILED, CauseKind.EXEC_FAILED)).successor


def test_pauses_grow_to_a_minute_and_the_row_ends_at_its_limit() -> None:
    assert [pause_ms(n, 1000, MINUTE) for n in (1, 2, 3, 6, 7, 1000)] == [
        1000,
        2000,
        4000,
        32000,
        60000,
        60000,
    ]
    third = follow(ended(record(restart="on-failure", attempt=2), FAILED, chance=1.0))
    assert third.successor is not None
    assert (third.successor.attempt, third.successor.at) == (3, 1000 + 5000)
    assert third.shown["restart_at"] == third.successor.at
    assert third.successor.agent_id in third.shown["reason"]

    sixth = follow(ended(record(restart="on-failure", attempt=5), FAILED))
    assert sixth.successor is None
    assert "5 times in a row" in sixth.shown["attention"]


def test_a_healthy_run_begins_a_new_row() -> None:
    lived = record(restart="on-failure", attempt=5, started_at=1000 - 10 * MINUTE)
    found = follow(ended(lived, FAILED)).successor
    assert found is not None
    assert found.attempt == 1


RESUMED = [
    ({"provider_session_id": "s", "turns": 1}, True, FAILED, True),
    ({"provider_session_id": "s", "turns": 0}, True, FAILED, False),
    ({"provider_session_id": "s", "resumed_from": "ag-0"}, True, FAILED, True),
    ({"provider_session_id": "s", "turns": 1}, False, FAILED, False),
    ({"turns": 1}, True, FAILED, False),
    ({"provider_session_id": "s", "turns": 1}, True, SUCCEEDED, False),
]


@pytest.mark.parametrize(("shown", "can_resume", "status", "resumes"), RESUMED)
def test_it_goes_on_with_what_was_begun(
    shown: dict[str, Any], can_resume: bool, status: Status, resumes: bool
) -> None:
    found = follow(ended(record(restart="always", **shown), status, can_resume=can_resume)).successor
    assert found is not None
    assert found.resumes is resumes


def test_what_was_idle_is_not_told_to_continue() -> None:
    busy, idle = (
        follow(ended(record(restart="always", activity=activity), LOST, CauseKind.HOST_REBOOT)).successor
        for activity in (Activity.BUSY, Activity.IDLE)
    )
    assert busy is not None
    assert idle is not None
    assert (busy.idle, idle.idle) == (False, True)


def limited(until: int = 0, turns: int = 0) -> Outcome:
    return Outcome(rate_limited="enough", rate_limited_until_ms=until, error="enough", turns=turns)


def test_a_rate_limit_is_waited_for_whatever_the_restart_policy() -> None:
    patient = record(on_rate_limit="resume", attempt=2)
    found = follow(ended(patient, FAILED, outcome=limited(MINUTE), chance=1.0))
    assert found.successor is not None
    assert MINUTE <= found.successor.at <= MINUTE + 5000
    assert found.successor.attempt == 2
    assert "rate limited: enough" in found.shown["reason"]
    assert follow(ended(record(), FAILED, outcome=limited(MINUTE))).successor is None
    assert (
        follow(ended(record(stopped(), on_rate_limit="resume"), FAILED, outcome=limited())).successor is None
    )
    assert follow(ended(patient, FAILED, outcome=Outcome(error="other"))).successor is None


@pytest.mark.parametrize(
    ("holds", "turns", "minutes"), [(0, 0, 5), (1, 0, 10), (3, 0, 40), (9, 0, 60), (9, 3, 5)]
)
def test_a_limit_of_unknown_length_is_tried_at_growing_pauses(holds: int, turns: int, minutes: int) -> None:
    found = follow(ended(record(on_rate_limit="resume", holds=holds), FAILED, outcome=limited(turns=turns)))
    assert found.successor is not None
    assert found.successor.at == 1000 + minutes * MINUTE


def test_a_limit_that_never_ends_is_given_up() -> None:
    found = follow(ended(record(on_rate_limit="resume", holds=20), FAILED, outcome=limited()))
    assert found.successor is None
    assert "20 waits" in found.shown["attention"]


def test_a_successor_knows_its_place_in_the_row() -> None:
    former = record(restarts=3)
    former = msgspec.structs.replace(former, successor=Successor(agent_id="ag-2", at=0, attempt=2, holds=1))
    placed = following(record(), former)
    assert (placed.agent.restarts, placed.attempt, placed.holds) == (4, 2, 1)
