"""What real interfaces ask in their terminals, answered by one key from outside; and their turns ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from interfaces import screen
from muster_processes import until
from running import Host
from stub_fixtures import StubModel

from orchestrator.trust import Trust
from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode
from relay.wire.approvals import AnswerRequest, Verdict
from relay.wire.terminal import SendRequest

SIZE = {"rows": 40, "columns": 120}
ESCALATED = (
    'TOOL=<<exec_command {"cmd":"touch %s","sandbox_permissions":"require_escalated","justification":"?"}>>'
)
CLIS = [
    pytest.param("codex", ESCALATED, marks=pytest.mark.needs("codex")),
    *(
        pytest.param(name, "RUN=<<touch %s>>", marks=pytest.mark.needs(name))
        for name in ("gemini", "qwen", "copilot")
    ),
]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def host(model: StubModel, home: Path, work: Path, make_host: Callable[..., Host]) -> Host:
    found = make_host("host", **model.environment(home))
    Trust(found.home).add(str(work))
    found.start()
    return found


def asked(host: Host, agent_id: str, number: int) -> str:
    """The id of the `number`th thing that the agent asks, once it does."""
    try:
        until(lambda: len(host.get(agent_id).approvals) >= number, f"question {number}", 30.0)
    except AssertionError:
        raise AssertionError(
            f"no question {number}: {host.get(agent_id)}\n{screen(host, agent_id)}"
        ) from None
    return host.get(agent_id).approvals[number - 1].id


def answer(host: Host, approval_id: str, decision: Verdict) -> str | None:
    with host.client() as client:
        request = AnswerRequest(decision=decision)
        path = {"id": approval_id}
        return client.call(endpoints.ANSWER_APPROVAL, request, path=path, timeout_s=60).evidence


def say(host: Host, agent_id: str, text: str) -> None:
    with host.client() as client:
        request = SendRequest(text=text, wait_ms=60_000, timeout_ms=30_000)
        client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=100)


def interrupt(host: Host, agent_id: str) -> ManagedAgent:
    with host.client() as client:
        return client.call(endpoints.INTERRUPT_AGENT, path={"id": agent_id}, timeout_s=60)


@pytest.mark.parametrize(("provider", "prompt"), CLIS)
def test_one_key_allows_or_denies_and_another_ends_a_turn(
    provider: str, prompt: str, host: Host, work: Path, tmp_path: Path
) -> None:
    made, denied = tmp_path / "made", tmp_path / "denied"
    agent = host.spawn(provider=provider, mode=Mode.EMBEDDED, cwd=str(work), size=SIZE, prompt=prompt % made)

    assert answer(host, asked(host, agent.id, 1), Verdict.ALLOW)
    until(made.exists, "what was allowed")
    until(lambda: host.get(agent.id).activity is Activity.IDLE, "its turn to end")

    say(host, agent.id, prompt % denied)
    assert answer(host, asked(host, agent.id, 2), Verdict.DENY)
    until(lambda: host.get(agent.id).activity is Activity.IDLE, "its turn to end")
    assert not denied.exists()

    say(host, agent.id, "NONCE=x SLOW=60")
    until(lambda: host.get(agent.id).activity is Activity.BUSY, "its turn to begin")
    assert interrupt(host, agent.id).status == "running"
    until(lambda: host.get(agent.id).activity is Activity.IDLE, "its turn to end")
    assert [each.state for each in host.get(agent.id).approvals] == ["allowed", "denied"]
