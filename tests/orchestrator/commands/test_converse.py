"""A headless conversation takes messages between its turns, each once, until it is told to finish."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from muster_processes import until
from running import Host

from orchestrator.agents.succession import GO_ON
from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.steering import StopRequest
from relay.wire.terminal import Receipt, SendRequest, SendResult


@pytest.fixture
def host(speaking_host: Host) -> Host:
    return speaking_host


@pytest.fixture
def agent(host: Host, ledger: Path, tmp_path: Path) -> ManagedAgent:
    ledger.write_text("")
    return host.spawn(provider="claude", conversation=True, prompt="hello", cwd=str(tmp_path))


def said(ledger: Path) -> list[Any]:
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [words[1] for words in entries if words[0] == "said"]


def send(host: Host, agent: ManagedAgent, text: str | None, **fields: Any) -> SendResult:
    with host.client() as client:
        return client.call(endpoints.SEND_TO_AGENT, SendRequest(text=text, **fields), path={"id": agent.id})


def answered(host: Host, agent: ManagedAgent, text: str) -> None:
    def idle() -> bool:
        now = host.get(agent.id)
        return now.result == f"heard {text}" and now.activity is Activity.IDLE

    until(idle, f"the answer to {text!r}")


def finish(host: Host, agent: ManagedAgent) -> ManagedAgent:
    with host.client() as client:
        client.call(endpoints.STOP_AGENT, StopRequest(finish=True), path={"id": agent.id})
    return host.ended(agent.id)


def test_a_message_begins_a_turn_and_the_end_is_said(host: Host, agent: ManagedAgent, ledger: Path) -> None:
    answered(host, agent, "hello")

    receipt = send(host, agent, "more")

    assert receipt.receipt is Receipt.SUBMITTED
    answered(host, agent, "more")
    ended = finish(host, agent)
    assert said(ledger) == ["hello", "more"]
    assert (ended.status, ended.result) == (Status.SUCCEEDED, "heard more")


def test_what_is_sent_during_a_turn_begins_the_next(
    host: Host, agent: ManagedAgent, ledger: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    answered(host, agent, "hello")
    send(host, agent, f"await:{gate}")

    receipts = [send(host, agent, text).receipt for text in ("second", "third")]
    gate.write_bytes(b"go")

    assert receipts == [Receipt.QUEUED, Receipt.QUEUED]
    assert finish(host, agent).result == "heard third"
    assert said(ledger) == ["hello", f"await:{gate}", "second", "third"]


def test_what_no_conversation_takes_is_refused(host: Host, agent: ManagedAgent, ledger: Path) -> None:
    answered(host, agent, "hello")
    one_turn = host.spawn("sleep", "60")
    for whom, text, fields, code, words in (
        (agent, None, {"keys": ["Enter"]}, Code.INVALID, "for terminals"),
        (agent, "x", {"force": True}, Code.INVALID, "for terminals"),
        (agent, "x", {"submit": False}, Code.INVALID, "for terminals"),
        (agent, " ", {}, Code.INVALID, "nothing to say"),
        (one_turn, "x", {}, Code.CONFLICT, "holds no conversation"),
    ):
        with pytest.raises(ApiError, match=words) as refused:
            send(host, whom, text, **fields)
        assert refused.value.code is code
    with pytest.raises(ApiError, match="holds no conversation"), host.client() as client:
        client.call(endpoints.STOP_AGENT, StopRequest(finish=True), path={"id": one_turn.id})
    with pytest.raises(ApiError, match="holds no conversations"):
        host.spawn("true", conversation=True)
    finish(host, agent)
    with pytest.raises(ApiError) as refused:
        send(host, agent, "too late")
    assert refused.value.code is Code.ENDED
    assert refused.value.message.endswith("resume it to go on with its conversation")
    assert said(ledger) == ["hello"]
    host.stop(one_turn.id)


def test_a_silent_program_is_told_apart(host: Host, agent: ManagedAgent, ledger: Path) -> None:
    answered(host, agent, "hello")
    os.kill(agent.pid or 0, 19)  # SIGSTOP
    receipt = send(host, agent, "are you there?", timeout_ms=300)
    os.kill(agent.pid or 0, 18)  # SIGCONT

    assert receipt.receipt is Receipt.TYPED
    assert "begun no turn within 0.3 s" in receipt.evidence
    answered(host, agent, "are you there?")
    assert said(ledger) == ["hello", "are you there?"]
    finish(host, agent)


def test_after_a_rate_limit_it_goes_on_when_that_is_over(host: Host, ledger: Path, tmp_path: Path) -> None:
    ledger.write_text("")
    reset = (now_ms() // 1000 + 2) * 1000
    fields = {"provider": "claude", "conversation": True, "cwd": str(tmp_path), "on_rate_limit": "resume"}
    agent = host.spawn(prompt=f"limit:{reset}", **fields)
    until(lambda: host.get(agent.id).restart_at, "the end of the limit to be known")
    at = host.get(agent.id).restart_at or 0
    assert reset <= at <= reset + 5000

    answered(host, agent, GO_ON)

    assert now_ms() >= at
    until(lambda: host.get(agent.id).restart_at is None, "it to be over")
    assert said(ledger) == [f"limit:{reset}", GO_ON]
    assert finish(host, agent).status is Status.SUCCEEDED


def test_whoever_speaks_to_it_goes_on_in_its_place(host: Host, ledger: Path, tmp_path: Path) -> None:
    ledger.write_text("")
    fields = {"provider": "claude", "conversation": True, "cwd": str(tmp_path), "on_rate_limit": "resume"}
    agent = host.spawn(prompt="limit:0", **fields)
    until(lambda: host.get(agent.id).restart_at, "the wait to be decided on")
    assert 295_000 < (host.get(agent.id).restart_at or 0) - now_ms() < 380_000
    until(lambda: host.get(agent.id).activity is Activity.BLOCKED, "its hold to be shown")
    assert host.get(agent.id).attention == "rate limited: five hour limit reached"
    with host.client() as client:
        held = client.call(endpoints.INTERRUPT_AGENT, path={"id": agent.id})
    assert held.restart_at is not None, "there is no turn to be called off"

    send(host, agent, "now then")

    answered(host, agent, "now then")
    until(lambda: host.get(agent.id).restart_at is None, "the wait to be over")
    finish(host, agent)


def test_a_turn_that_a_rate_limit_ends_while_it_is_called_off_is_over(
    host: Host, ledger: Path, tmp_path: Path
) -> None:
    ledger.write_text("")
    os.mkfifo(gate := tmp_path / "gate")
    fields = {"provider": "claude", "conversation": True, "cwd": str(tmp_path), "on_rate_limit": "resume"}
    agent = host.spawn(prompt=f"await:{gate} limit:0", **fields)
    journal = Path(host.home.state, "plans", agent.id, "dialogue.jsonl")
    until(lambda: host.get(agent.id).activity is Activity.BUSY, "its turn to begin")

    with host.client() as client, ThreadPoolExecutor(1) as pool:
        called_off = pool.submit(client.call, endpoints.INTERRUPT_AGENT, path={"id": agent.id})
        until(lambda: "interrupt" in journal.read_text(), "it to be told")
        gate.write_bytes(b"go")

    assert called_off.result().activity is Activity.BLOCKED
    host.stop(agent.id)


def test_a_conversation_may_begin_without_a_word(host: Host, ledger: Path, tmp_path: Path) -> None:
    ledger.write_text("")
    agent = host.spawn(provider="claude", conversation=True, cwd=str(tmp_path))
    assert send(host, agent, "first").receipt is Receipt.SUBMITTED
    answered(host, agent, "first")
    assert finish(host, agent).status is Status.SUCCEEDED
    assert said(ledger) == ["first"]
