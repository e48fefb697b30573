"""A CLI that is known by a TOML file alone does all that one with an adapter does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster_processes import until
from running import Host
from scripting import SCRIPTED, define, install

from orchestrator.cli import checks
from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode, Status
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery, ApprovalState, Verdict
from relay.wire.errors import ApiError, Code
from relay.wire.steering import StopRequest
from relay.wire.terminal import SendRequest

PLAIN = (
    SCRIPTED[: SCRIPTED.index("[headless]")]
    + """
[headless]
argv = ["run", "{approval}", ["--session", "{session}"], ["--resume", "{resume}"]]
stream = "lines"

[lines]
error = '^error: (?P<said>.*)'
ignored = '^~'
session = '^session: (\\S+)'
"""
)
"""The same CLI, read without its events."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    install(folder / "bin")
    (folder / "sessions").mkdir()
    define(folder / "home")
    define(folder / "home", "plain", PLAIN)
    keyless = SCRIPTED.replace("marks =", 'unset = ["SCRIPTED_KEY"]\nmarks =')
    define(folder / "home", "keyless", keyless)
    define(folder / "home", "broken", "version = 1")
    found = Host(
        folder / "home",
        PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        SCRIPTED_HOME=str(folder / "sessions"),
        SCRIPTED_KEY="k",
    )
    found.start()
    yield found
    found.end_agents()


def spawn(host: Host, cwd: Path, prompt: str | None, **fields: Any) -> ManagedAgent:
    return host.spawn(**{"provider": "scripted", "prompt": prompt, "cwd": str(cwd), **fields})


def asked(host: Host, agent_id: str) -> Approval:
    """What the agent asks, once it does."""
    found: list[Approval] = []

    def asks() -> bool:
        with host.client() as client:
            query = ApprovalListQuery(agent_id=agent_id)
            found[:] = client.call(endpoints.LIST_APPROVALS, query=query)
        return bool(found)

    until(asks, "an approval to be asked")
    return found[0]


def answer(host: Host, approval: Approval, decision: Verdict) -> None:
    with host.client() as client:
        body = AnswerRequest(decision=decision)
        client.call(endpoints.ANSWER_APPROVAL, body, path={"id": approval.id})


def send(host: Host, agent_id: str, text: str) -> None:
    with host.client() as client:
        client.call(endpoints.SEND_TO_AGENT, SendRequest(text=text), path={"id": agent_id})


def wait_for(host: Host, agent_id: str, what: Any, words: str) -> ManagedAgent:
    until(lambda: what(host.get(agent_id)), words)
    return host.get(agent_id)


def test_its_result_and_counters_are_its_own_words(host: Host, tmp_path: Path) -> None:
    agent = host.ended(spawn(host, tmp_path, "say hello", ask=False, model="big").id)

    assert (agent.status, agent.result, agent.model) == (Status.SUCCEEDED, "1 big hello", "big")
    assert (agent.turns, agent.cost_usd) == (1, 0.25)
    assert agent.usage is not None
    assert (agent.usage.input_tokens, agent.usage.output_tokens) == (11, 7)
    assert agent.provider_session_id is not None


def test_an_error_fails_the_run_whatever_its_exit_code(host: Host, tmp_path: Path) -> None:
    for provider in ("scripted", "plain"):
        agent = host.ended(spawn(host, tmp_path, "FAIL=429 slow down", provider=provider, ask=False).id)
        assert (agent.status, agent.error, agent.result) == (Status.FAILED, "429 slow down", None)
        assert agent.cause is not None
        assert agent.cause.exit_code == 0


def test_a_run_that_says_nothing_of_its_stream_has_not_succeeded(host: Host, tmp_path: Path) -> None:
    """As that of a CLI that asks for a login and exits with 0."""
    agent = host.ended(spawn(host, tmp_path, "hello", provider="keyless", ask=False).id)
    assert (agent.status, agent.error) == (Status.FAILED, "it ended without a word of its event stream")


def test_each_mode_is_held(host: Host, tmp_path: Path) -> None:
    for mode, made in (("read-only", False), ("open", True)):
        path = tmp_path / mode
        agent = host.ended(spawn(host, tmp_path, f"TOUCH={path}", approval_mode=mode).id)
        assert (agent.status, agent.tool_calls, path.exists()) == (Status.SUCCEEDED, 1, made)


@pytest.mark.parametrize(
    ("verdict", "state", "made"),
    [(Verdict.ALLOW, ApprovalState.ALLOWED, True), (Verdict.DENY, ApprovalState.DENIED, False)],
)
def test_what_it_asks_is_answered(
    host: Host, tmp_path: Path, verdict: Verdict, state: ApprovalState, made: bool
) -> None:
    agent = spawn(host, tmp_path, f"TOUCH={tmp_path / 'x'}")
    approval = asked(host, agent.id)
    assert (approval.title, approval.provider) == (f"touch {tmp_path / 'x'}", "scripted")
    assert host.get(agent.id).activity is Activity.BLOCKED
    assert not (tmp_path / "x").exists()

    answer(host, approval, verdict)

    ended = host.ended(agent.id)
    assert (ended.status, (tmp_path / "x").exists()) == (Status.SUCCEEDED, made)
    assert ended.approvals[0].state is state


def test_nobody_to_ask_is_a_no(host: Host, tmp_path: Path) -> None:
    agent = host.ended(spawn(host, tmp_path, f"TOUCH={tmp_path / 'x'}", approval_timeout_ms=1).id)
    assert not (tmp_path / "x").exists()
    assert agent.approvals[0].state is ApprovalState.EXPIRED


def test_a_conversation_goes_on_is_interrupted_and_finished(host: Host, tmp_path: Path) -> None:
    agent = spawn(host, tmp_path, "one", conversation=True)
    wait_for(host, agent.id, lambda a: a.result == "1 small one", "the first answer")

    send(host, agent.id, "WAIT")
    wait_for(host, agent.id, lambda a: a.activity is Activity.BUSY, "the second turn")
    with host.client() as client:
        client.call(endpoints.INTERRUPT_AGENT, path={"id": agent.id})
    wait_for(host, agent.id, lambda a: a.activity is Activity.IDLE, "its end")

    send(host, agent.id, "three")
    said = wait_for(host, agent.id, lambda a: a.result == "2 small three", "the third answer")
    assert said.status is Status.RUNNING
    with host.client() as client:
        client.call(endpoints.STOP_AGENT, StopRequest(finish=True), path={"id": agent.id})
    assert host.ended(agent.id).status is Status.SUCCEEDED


@pytest.mark.parametrize("provider", ["scripted", "plain"])
def test_it_is_resumed_by_the_id_it_has_said_itself(host: Host, tmp_path: Path, provider: str) -> None:
    first = host.ended(spawn(host, tmp_path, "hello", provider=provider, ask=False).id)

    second = host.ended(host.spawn(resume=first.id, prompt="again", ask=False).id)

    assert (first.result, second.result) == ("1 small hello", "2 small again")
    assert second.provider_session_id == first.provider_session_id


def test_a_conversation_is_resumed_over_its_machine_channel(host: Host, tmp_path: Path) -> None:
    first = host.ended(spawn(host, tmp_path, "hello").id)
    second = host.ended(host.spawn(resume=first.id, prompt="again").id)
    assert (first.result, second.result) == ("1 small hello", "2 small again")


def test_a_limit_ends_it(host: Host, tmp_path: Path) -> None:
    agent = host.ended(spawn(host, tmp_path, "WAIT", ask=False, timeout_ms=300).id)
    assert agent.status is Status.TIMEOUT


def test_its_interface_is_read_by_its_manifest(host: Host, tmp_path: Path) -> None:
    agent = spawn(host, tmp_path, None, mode=Mode.EMBEDDED)
    wait_for(host, agent.id, lambda a: a.activity is Activity.IDLE, "it to be idle")

    send(host, agent.id, "hello")

    busy = wait_for(host, agent.id, lambda a: a.activity is Activity.BUSY, "it to be busy")
    assert busy.activity_source == "screen"
    host.stop(agent.id, kill=True)


def test_what_there_is_is_listed_with_where_it_is_from(host: Host) -> None:
    with host.client() as client:
        found = {i.name: i for i in client.call(endpoints.LIST_HOSTS)[0].capabilities}
    assert found["scripted"].source.endswith("providers/scripted.toml")
    assert "broken" not in found


def test_an_unknown_provider_is_told_what_there_is_and_what_is_installed(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="there is no provider 'skripted'") as refused:
        spawn(host, tmp_path, "x", provider="skripted")
    assert refused.value.code is Code.UNKNOWN_PROVIDER
    assert {"claude", "scripted", "plain"} <= set(refused.value.details["known"])
    assert "scripted" in refused.value.details["installed"]


def test_a_provider_whose_file_cannot_be_used_is_unknown_for_that_reason(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"left out: .*/broken\.toml: the key binaries is missing"):
        spawn(host, tmp_path, "x", provider="broken")


def test_a_file_that_cannot_be_used_is_told_by_the_daemon(host: Host) -> None:
    with host.client() as client:
        health = client.call(endpoints.HEALTH)
    (check,) = (check for check in health.checks if check.name == "providers")
    assert (check.status, "broken.toml: the key binaries is missing" in check.detail) == (checks.WARN, True)
