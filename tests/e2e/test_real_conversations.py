"""A conversation with a real CLI over a daemon that is killed while something is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from muster_processes import living_with, until
from running import Host
from stub_fixtures import StubModel

from relay.wire import endpoints
from relay.wire.approvals import AnswerRequest, Verdict
from relay.wire.terminal import SendRequest

ESCALATED = (
    '{"cmd": "touch made", "sandbox_permissions": "require_escalated", "justification": "it has to be"}'
)
ASKS = [
    pytest.param("claude", "RUN=<<sh -c 'echo 1 > made'>>", marks=pytest.mark.needs("claude")),
    pytest.param("codex", f"TOOL=<<exec_command {ESCALATED}>>", marks=pytest.mark.needs("codex")),
]


@pytest.mark.parametrize(("provider", "asks"), ASKS)
def test_a_new_daemon_answers_what_the_killed_one_was_asked_and_goes_on_with_the_conversation(
    provider: str, asks: str, model: StubModel, home: Path, tmp_path: Path, make_host: Callable[..., Host]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    host = make_host("host", **model.environment(home))
    host.start()
    agent = host.spawn(provider=provider, cwd=str(work), prompt=f"NONCE=a {asks}", conversation=True)
    until(lambda: bool(host.get(agent.id).approvals), "it to ask")
    (question,) = host.get(agent.id).approvals
    assert not (work / "made").exists()

    host.kill()
    host.start()
    with host.client() as client:
        answer = AnswerRequest(decision=Verdict.ALLOW)
        client.call(endpoints.ANSWER_APPROVAL, answer, path={"id": question.id}, timeout_s=60)
    until(lambda: host.get(agent.id).activity == "idle", "its turn to end")
    assert (host.get(agent.id).result or "").startswith("PONG a")
    assert (work / "made").exists()

    with host.client() as client:
        request = SendRequest(text="NONCE=b RUN=<<sleep 4321>>")
        client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent.id}, timeout_s=60)
    until(lambda: sleeps(work) and host.get(agent.id).tool_calls == 2, "its tool to run")
    ended = host.stop(agent.id)
    assert ended.status == "cancelled"
    assert ended.exit is not None
    assert ended.exit.survivors == []
    assert living_with(f"MUSTER_AGENT_ID={agent.id}") == []
    assert not sleeps(work)


def sleeps(work: Path) -> bool:
    listed = psutil.process_iter(["name", "cwd"])
    return any(one.info["name"] == "sleep" and one.info["cwd"] == os.fspath(work) for one in listed)
