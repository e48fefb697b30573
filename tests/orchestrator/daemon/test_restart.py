"""An agent with a restart policy is followed by another, and by no more than one."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from muster_processes import until
from running import Host

from orchestrator.agents.record import AgentRecord, Successor
from orchestrator.agents.succession import GO_ON
from orchestrator.daemon.restart import requested
from orchestrator.store.requests import Kept
from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.base import now_ms


@pytest.fixture
def host(speaking_host: Host) -> Host:
    return speaking_host


def told(ledger: Path) -> list[list[Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def requests(host: Host) -> list[Path]:
    folder = Path(host.home.state, "requests")
    return list(folder.iterdir()) if folder.exists() else []


def followed(host: Host, agent_id: str) -> ManagedAgent:
    """The successor of an agent, once there is one."""
    until(lambda: host.get(agent_id).restarted_as, f"a successor of {agent_id}")
    return host.get(host.get(agent_id).restarted_as or "")


def failing(marks: Path, times: int) -> tuple[str, ...]:
    """A program that fails so often, and then succeeds."""
    return ("sh", "-c", f"echo $SECRET >> {marks}; [ $(wc -l < {marks}) -gt {times} ]")


def test_the_same_is_asked_for_again_until_it_succeeds(host: Host, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    argv = failing(marks, 1)
    first = host.spawn(
        *argv, restart="on-failure", env={"SECRET": "s3"}, label="l", tags=["t"], idempotency_key="k"
    )
    (kept,) = requests(host)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    ended = host.ended(first.id)
    assert ended.status is Status.FAILED
    assert ended.restarted_as is not None or ended.restart_at is not None
    second = host.ended(followed(host, first.id).id)

    assert (second.status, second.restarts, second.restarted_as) == (Status.SUCCEEDED, 1, None)
    assert (second.label, second.tags, second.env_keys) == ("l", ["t"], ["SECRET"])
    assert marks.read_text().split() == ["s3", "s3"]
    assert host.get(first.id).restart_at is None
    assert host.get(first.id).status is Status.FAILED
    until(lambda: not requests(host), "the request to be forgotten")
    again = host.spawn(*argv, idempotency_key="k", restart="on-failure")
    assert again.id == first.id


def test_after_its_limit_nothing_follows(host: Host) -> None:
    first = host.spawn("false", restart="on-failure", restart_limit=1)
    second = host.ended(followed(host, first.id).id)
    assert "not started again" in (second.attention or "")
    assert (second.restarted_as, second.restart_at) == (None, None)
    assert not requests(host)


def before_a_pause(host: Host) -> ManagedAgent:
    """One that has failed, and whose successor is due in seconds: the first pause may be over at once."""
    agent = host.ended(host.spawn("false", restart="always").id)
    while agent.restart_at is None or agent.restart_at - now_ms() < 1_500:
        agent = host.ended(followed(host, agent.id).id)
    return agent


def test_a_stop_calls_off_what_was_to_follow(host: Host) -> None:
    first = before_a_pause(host)
    stopped = host.stop(first.id)
    assert (stopped.status, stopped.restart_at) == (Status.FAILED, None)
    assert "stopped by local" in (stopped.reason or "")
    assert not requests(host)


def test_forgetting_calls_off_what_was_to_follow(host: Host) -> None:
    first = before_a_pause(host)
    with host.client() as client:
        client.call(endpoints.FORGET_AGENT, path={"id": first.id})
    assert not requests(host)


def test_a_conversation_that_had_begun_is_gone_on_with(host: Host, ledger: Path, tmp_path: Path) -> None:
    fields = {"provider": "claude", "ask": False, "cwd": str(tmp_path), "restart": "on-failure"}
    first = host.spawn(prompt="please exit:3", **fields)

    second = host.ended(followed(host, first.id).id)

    session = host.get(first.id).provider_session_id
    assert told(ledger) == [
        ["start", session, False],
        ["said", "please exit:3"],
        ["start", session, True],
        ["said", GO_ON],
    ]
    assert (second.status, second.resumed_from, second.restarts) == (Status.SUCCEEDED, first.id, 1)


def test_after_a_rate_limit_it_goes_on_when_that_is_over(host: Host, ledger: Path, tmp_path: Path) -> None:
    before = len(told(ledger))
    reset = (now_ms() // 1000 + 2) * 1000
    prompt = f"work limit:{reset}"
    fields = {"provider": "claude", "ask": False, "cwd": str(tmp_path), "on_rate_limit": "resume"}
    first = host.ended(host.spawn(prompt=prompt, **fields).id)
    assert "rate limited" in (first.reason or "")
    assert first.restart_at is not None
    assert reset <= first.restart_at <= reset + 5000
    assert host.stop(first.id).restart_at is None
    assert [said for kind, said, *_ in told(ledger)[before:] if kind == "said"] == [prompt]


def test_what_follows_may_do_no_more_than_the_one_before_at_its_end() -> None:
    agent = ManagedAgent(
        id="ag-1",
        status=Status.FAILED,
        provider="claude",
        mode=Mode.HEADLESS,
        created_at=0,
        turns=1,
        approval_mode="read-only",
    )
    kept = Kept(request=SpawnRequest(provider="claude", prompt="go", approval_mode="open"))

    for resumes in (True, False):
        following = Successor(agent_id="ag-2", at=0, attempt=1, resumes=resumes)
        asked = requested(kept, AgentRecord(agent=agent, directory="/x"), following)
        assert asked.approval_mode == "read-only"
