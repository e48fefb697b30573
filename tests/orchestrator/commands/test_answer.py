"""What a headless agent asks is answered once: by a person, by the clock, or by its own end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import until
from running import Host
from scripting import define, install

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Status
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery, ApprovalState, Verdict
from relay.wire.errors import ApiError, Code
from relay.wire.steering import ChangeRequest


def scripted_host(folder: Path, **variables: str) -> Host:
    """A host that knows the scripted CLI, which asks over ACP before it touches a file."""
    binary = install(folder / "bin")
    define(folder / "home")
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    return Host(folder / "home", PATH=path, SCRIPTED_KEY="k", SCRIPTED_HOME=str(folder), **variables)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    found = scripted_host(tmp_path_factory.mktemp("host"), MUSTER_POLICY_APPROVAL_MAX="guarded")
    found.start()
    yield found
    found.end_agents()


def asks(host: Host, path: Path, **facts: object) -> tuple[ManagedAgent, Approval]:
    """Start an agent that wants to touch `path`, and return it once it asks for that."""
    agent = host.spawn(provider="scripted", prompt=f"TOUCH={path}", cwd=str(path.parent), **facts)
    until(lambda: host.get(agent.id).activity is Activity.BLOCKED, "the agent to ask")
    agent = host.get(agent.id)
    (approval,) = agent.approvals
    return agent, approval


def answer(host: Host, reference: str, decision: Verdict, **facts: str) -> Approval:
    with host.client() as client:
        request = AnswerRequest(decision=decision, **facts)
        return client.call(endpoints.ANSWER_APPROVAL, request, path={"id": reference})


def pending(host: Host, **query: str) -> list[str]:
    with host.client() as client:
        found = client.call(endpoints.LIST_APPROVALS, query=ApprovalListQuery(**query))
    return [approval.id for approval in found]


def get(host: Host, approval: Approval) -> Approval:
    with host.client() as client:
        return client.call(endpoints.GET_APPROVAL, path={"id": approval.id})


def test_what_is_allowed_is_done(host: Host, tmp_path: Path) -> None:
    agent, approval = asks(host, tmp_path / "made")

    assert (approval.state, approval.channel, approval.agent_id) == (
        ApprovalState.PENDING,
        "stream",
        agent.id,
    )
    assert "made" in approval.input
    assert approval.id in pending(host) and pending(host, agent_id=agent.id) == [approval.id]
    given = answer(host, approval.id, Verdict.ALLOW, by="ann", reason="why not")

    assert (given.state, given.answered_by) == (ApprovalState.ALLOWED, "ann (local)")
    ended = host.ended(agent.id)
    assert ended.status is Status.SUCCEEDED
    assert ended.approvals == [given]
    assert (tmp_path / "made").exists()
    assert approval.id not in pending(host)


def test_what_is_denied_is_not_done_and_the_agent_goes_on(host: Host, tmp_path: Path) -> None:
    agent, _ = asks(host, tmp_path / "made", label="ap-south")

    assert answer(host, "ap-south", Verdict.DENY).state is ApprovalState.DENIED

    assert host.ended(agent.id).status is Status.SUCCEEDED
    assert not (tmp_path / "made").exists()


def test_the_first_answer_counts(host: Host, tmp_path: Path) -> None:
    agent, approval = asks(host, tmp_path / "made")
    answer(host, approval.id, Verdict.DENY, by="ann", reason="not now")

    with pytest.raises(ApiError, match=r"was denied before by ann \(local\) \(not now\)") as late:
        answer(host, approval.id, Verdict.ALLOW)

    assert late.value.code is Code.CONFLICT
    host.ended(agent.id)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("input_", "message"), [('{"path":"/x"}', "nothing was answered"), ("{", "is not JSON")]
)
def test_an_answer_that_the_cli_cannot_be_given_leaves_the_question_open(
    host: Host, tmp_path: Path, input_: str, message: str
) -> None:
    """ACP has no words for a changed input."""
    agent, approval = asks(host, tmp_path / "made")

    with pytest.raises(ApiError, match=message) as refused:
        answer(host, approval.id, Verdict.ALLOW, input=input_)

    assert refused.value.code is Code.INVALID
    assert pending(host, agent_id=agent.id) == [approval.id]
    host.stop(agent.id, kill=True)


def test_what_nobody_answers_in_time_is_denied(host: Host, tmp_path: Path) -> None:
    agent, _ = asks(host, tmp_path / "made", approval_timeout_ms=300)

    ended = host.ended(agent.id)

    assert ended.status is Status.SUCCEEDED
    (expired,) = ended.approvals
    assert (expired.state, expired.answered_by) == (ApprovalState.EXPIRED, None)
    assert expired.reason == "nobody answered within 0.3 s"
    assert not (tmp_path / "made").exists()


def test_an_agent_that_has_ended_asks_nothing(host: Host, tmp_path: Path) -> None:
    agent, approval = asks(host, tmp_path / "made")
    host.stop(agent.id, kill=True)

    assert get(host, approval).state is ApprovalState.WITHDRAWN
    with pytest.raises(ApiError, match="no longer asked"):
        answer(host, approval.id, Verdict.ALLOW)
    with pytest.raises(ApiError, match="asks nothing"):
        answer(host, agent.id, Verdict.ALLOW)


def test_where_nobody_answers_nothing_is_asked(host: Host, tmp_path: Path) -> None:
    agent = host.spawn(provider="scripted", prompt=f"TOUCH={tmp_path}/made", cwd=str(tmp_path), ask=False)

    assert host.ended(agent.id).approvals == []
    assert not (tmp_path / "made").exists()


def test_a_killed_daemon_finds_what_is_asked_and_can_answer_it(tmp_path: Path) -> None:
    host = scripted_host(tmp_path)
    try:
        host.start()
        agent, approval = asks(host, tmp_path / "made")
        late, expiring = asks(host, tmp_path / "late", approval_timeout_ms=1)
        host.kill()
        host.start()

        until(lambda: host.get(late.id).approvals[0].state is ApprovalState.EXPIRED, "it to be denied")
        assert get(host, approval) == approval
        assert answer(host, approval.id, Verdict.ALLOW).state is ApprovalState.ALLOWED
        assert [host.ended(each).status for each in (agent.id, late.id)] == [Status.SUCCEEDED] * 2
        assert (tmp_path / "made").exists() and not (tmp_path / "late").exists()
        assert get(host, expiring).state is ApprovalState.EXPIRED
    finally:
        host.end_agents()


def test_who_answered_is_known_after_the_daemon_was_killed(tmp_path: Path) -> None:
    """The answer stands in the journal, the record is written after it: killed in between, it is the same."""
    host = scripted_host(tmp_path)
    try:
        host.start(MUSTER_FAILPOINT="after_words_recorded")
        agent, approval = asks(host, tmp_path / "made")
        with pytest.raises(Exception, match="reach"):
            answer(host, approval.id, Verdict.ALLOW, by="ann")
        host.died()
        host.start()

        ended = host.ended(agent.id)
        assert (ended.approvals[0].state, ended.approvals[0].answered_by) == (
            ApprovalState.ALLOWED,
            "ann (local)",
        )
        assert (tmp_path / "made").exists()
    finally:
        host.end_agents()


# -- turns


def test_an_interrupt_ends_the_turn_and_nothing_else(host: Host, tmp_path: Path) -> None:
    agent = host.spawn(provider="scripted", prompt="WAIT", conversation=True, cwd=str(tmp_path))
    until(lambda: host.get(agent.id).activity is Activity.BUSY, "its turn to begin")

    with host.client() as client:
        interrupted = client.call(endpoints.INTERRUPT_AGENT, path={"id": agent.id})
        again = client.call(endpoints.INTERRUPT_AGENT, path={"id": agent.id})

    assert (interrupted.status, interrupted.activity) == (Status.RUNNING, Activity.IDLE)
    assert (again.status, again.activity) == (Status.RUNNING, Activity.IDLE)
    host.stop(agent.id)


def test_a_run_that_cannot_be_interrupted_says_what_to_do(host: Host, tmp_path: Path) -> None:
    one_shot = host.spawn(provider="scripted", prompt="WAIT", ask=False, cwd=str(tmp_path))
    plain = host.spawn("sleep", "600")
    for agent in (one_shot, plain):
        with host.client() as client, pytest.raises(ApiError, match="stop it instead") as refused:
            client.call(endpoints.INTERRUPT_AGENT, path={"id": agent.id})
        assert refused.value.code is Code.CONFLICT
        host.stop(agent.id, kill=True)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ChangeRequest(), Code.INVALID),
        (ChangeRequest(model=" "), Code.INVALID),
        (ChangeRequest(approval_mode="wild"), Code.INVALID),
        (ChangeRequest(approval_mode="open"), Code.POLICY_REFUSED),
        (ChangeRequest(model="large"), Code.CONFLICT),
    ],
)
def test_a_change_that_cannot_be_is_refused(host: Host, request_: ChangeRequest, code: Code) -> None:
    """The host's highest mode holds for running agents too; the scripted CLI cannot change its model."""
    agent = host.spawn(provider="scripted", prompt="WAIT", conversation=True)
    with host.client() as client, pytest.raises(ApiError) as refused:
        client.call(endpoints.CHANGE_AGENT, request_, path={"id": agent.id})

    assert refused.value.code is code
    host.stop(agent.id, kill=True)
