"""Agents in terminals tell of themselves by their CLIs' own hooks; nothing is asked at their first start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import until
from running import Host
from stub_fixtures import StubModel

from orchestrator.trust import Trust
from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode
from relay.wire.approvals import AnswerRequest, Verdict

SIZE = {"rows": 30, "columns": 100}


@pytest.fixture
def work(tmp_path: Path) -> str:
    """A folder with settings of its own, which a CLI asks about unless it is trusted."""
    folder = tmp_path / "work"
    (folder / ".codex").mkdir(parents=True)
    (folder / ".codex" / "config.toml").write_text('model = "the-folder-s-model"\n')
    return str(folder)


@pytest.fixture
def host(model: StubModel, home: Path, work: str, make_host: Callable[..., Host]) -> Host:
    """One whose owner trusts `work`, and at whose home no CLI has ever been started."""
    found = make_host("host", **model.environment(home))
    Trust(found.home).add(work)
    found.start()
    return found


def seen(host: Host, agent_id: str, activity: str) -> ManagedAgent:
    """The agent once its hooks say that it does this."""
    last = host.get(agent_id)

    def there() -> bool:
        nonlocal last
        last = host.get(agent_id)
        return (last.activity, last.activity_source) == (activity, "hook")

    try:
        until(there, activity, 30.0)
    except AssertionError:
        raise AssertionError(f"not {activity} by a hook: {last}") from None
    return last


@pytest.mark.needs("claude")
def test_claude_s_hooks_tell_of_a_turn_from_its_start_over_an_approval_to_its_end(
    host: Host, work: str
) -> None:
    prompt = "NONCE=a RUN=<<sh -c 'echo 1 > made; sleep 1'>>"
    agent = host.spawn(provider="claude", mode=Mode.EMBEDDED, cwd=work, size=SIZE, prompt=prompt)

    asking = seen(host, agent.id, "blocked")
    (question,) = asking.approvals
    assert question.tool == "Bash"
    assert "echo 1 > made" in question.title
    with host.client() as client:
        answer = AnswerRequest(decision=Verdict.ALLOW)
        client.call(endpoints.ANSWER_APPROVAL, answer, path={"id": question.id}, timeout_s=60)

    done = seen(host, agent.id, "idle")
    assert os.path.exists(os.path.join(work, "made"))
    assert (done.result or "").startswith("PONG a")
    assert done.provider_session_id
    assert (done.turns, done.tool_calls) == (2, 1)
    assert [one.state for one in done.approvals] == ["allowed"]
    assert host.stop(agent.id).status == "cancelled"


@pytest.mark.needs("claude")
def test_an_error_of_the_model_is_told_by_claude_s_hooks_and_open_asks_for_nothing(
    model: StubModel, home: Path, work: str, make_host: Callable[..., Host]
) -> None:
    host = make_host("host", **model.environment(home), IS_SANDBOX="1")
    Trust(host.home).add(work)
    host.start()
    agent = host.spawn(
        provider="claude", mode=Mode.EMBEDDED, cwd=work, size=SIZE, prompt="FAIL=400", approval_mode="open"
    )

    assert "stub failure" in (seen(host, agent.id, "idle").error or "")
    assert host.stop(agent.id).status == "cancelled"


@pytest.mark.needs("codex")
def test_codex_notifies_of_the_end_of_its_turns_and_of_no_other(
    host: Host, work: str, model: StubModel
) -> None:
    agent = host.spawn(provider="codex", mode=Mode.EMBEDDED, cwd=work, size=SIZE, prompt="NONCE=a")

    done = seen(host, agent.id, "idle")
    assert done.result == "PONG a"
    assert done.provider_session_id
    assert model.request()["model"] == "the-folder-s-model"
    assert host.stop(agent.id).status == "cancelled"
