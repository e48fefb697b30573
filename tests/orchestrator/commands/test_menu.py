"""Approvals that an interface in a terminal asks for, answered by one key; turns ended by another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from interfaces import claude, command, person, screen
from muster_processes import until
from running import Host

from orchestrator.commands.menu import about
from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Status
from relay.wire.approvals import AnswerRequest, Approval, ApprovalState, Verdict
from relay.wire.errors import ApiError, Code
from relay.wire.steering import InputRequest

pytestmark = pytest.mark.usefixtures("nothing_left")


def asks(host: Host, *words: str) -> Approval:
    """Start an interface that asks for an approval from the start, and return that."""
    agent_id = claude(host, "paste", "menu", "answers", *words, shows="Esc to cancel")
    until(lambda: host.get(agent_id).approvals, "the question to be seen")
    (approval,) = host.get(agent_id).approvals
    return approval


def answer(host: Host, approval: Approval, decision: Verdict = Verdict.ALLOW, **facts: Any) -> Approval:
    with host.client() as client:
        request = AnswerRequest(decision=decision, **facts)
        path = {"id": approval.id}
        return client.call(endpoints.ANSWER_APPROVAL, request, path=path, timeout_s=60)


def interrupt(host: Host, agent_id: str) -> ManagedAgent:
    with host.client() as client:
        return client.call(endpoints.INTERRUPT_AGENT, path={"id": agent_id}, timeout_s=60)


@pytest.mark.parametrize(
    ("decision", "key", "state"),
    [(Verdict.ALLOW, "0d", ApprovalState.ALLOWED), (Verdict.DENY, "1b", ApprovalState.DENIED)],
)
def test_one_key_answers_and_is_seen_to_have_done_so(
    host: Host, decision: Verdict, key: str, state: ApprovalState
) -> None:
    approval = asks(host)
    assert (approval.channel, approval.state) == ("screen", ApprovalState.PENDING)
    assert "touch made" in approval.title

    given = answer(host, approval, decision)

    assert (given.state, given.answered_by) == (state, "local")
    assert given.evidence == "its terminal no longer shows the question"
    shown = screen(host, approval.agent_id)
    assert f"'key {key}'" in shown and shown.count("got ") == 1
    assert host.get(approval.agent_id).approvals == [given]


def test_a_key_that_changes_nothing_is_not_pressed_again(host: Host) -> None:
    approval = asks(host, "stubborn")

    with pytest.raises(ApiError, match="unknown") as unknown:
        answer(host, approval)

    assert unknown.value.code is Code.TIMEOUT
    assert screen(host, approval.agent_id).count("got ") == 1
    assert host.get(approval.agent_id).approvals == [approval]


def test_nothing_is_pressed_for_an_answer_that_is_more_than_a_key(host: Host) -> None:
    approval = asks(host)

    with pytest.raises(ApiError, match="a changed input cannot be given by a key") as refused:
        answer(host, approval, input="{}")

    assert refused.value.code is Code.INVALID
    assert "got " not in screen(host, approval.agent_id)


async def test_a_person_at_the_terminal_goes_first(host: Host) -> None:
    approval = await asyncio.to_thread(asks, host, "stubborn")
    async with person(host, approval.agent_id) as ann:
        await ann.type(b"x")
        await asyncio.to_thread(until, lambda: "got " in screen(host, approval.agent_id), "ann's key")

        with pytest.raises(ApiError, match="nothing was answered") as refused:
            await asyncio.to_thread(answer, host, approval)

    assert refused.value.code is Code.BUSY
    assert screen(host, approval.agent_id).count("got ") == 1


def test_a_menu_on_which_another_answer_is_marked_takes_no_key(host: Host) -> None:
    """Its one key would give that answer; somebody has to look."""
    agent_id = claude(host, "paste", "menu", "answers", "moved", shows="Esc to cancel")
    until(lambda: host.get(agent_id).activity is Activity.BLOCKED, "it to be seen")

    assert host.get(agent_id).approvals == []


def test_what_was_answered_in_the_terminal_is_withdrawn(host: Host) -> None:
    approval = asks(host)
    with host.client() as client:
        client.call(endpoints.SEND_INPUT, InputRequest(text="\r"), path={"id": approval.agent_id})
    until(lambda: host.get(approval.agent_id).approvals[0].state is ApprovalState.WITHDRAWN, "it to be seen")

    with pytest.raises(ApiError, match="no longer asked"):
        answer(host, approval)


@pytest.mark.parametrize(
    ("menu", "arguments", "expected"),
    [
        (" Bash command\n   touch made\n 1. Yes", '{"command":"touch made","description":"x y z"}', True),
        (" Bash command\n   touch ma\n   de\n 1. Yes", '{"command":"touch made"}', True),
        (" Write\n made.txt\n 1 first\n 2 second", '{"path":"/a/b/made.txt","content":"f\\nx"}', True),
        (" Bash command\n   rm -r /\n 1. Yes", '{"command":"touch made"}', False),
        (" Tool\n 1. Yes", '{"count":3}', True),
        (" Tool\n 1. Yes", '{"command":"cut in the midd', True),
    ],
)
def test_a_menu_is_known_by_the_arguments_that_it_shows(menu: str, arguments: str, expected: bool) -> None:
    assert about(menu, arguments) is expected


def test_an_interrupt_ends_the_turn_of_an_interface(host: Host) -> None:
    agent_id = claude(host, "paste", "busy", "stops")
    until(lambda: host.get(agent_id).activity is Activity.BUSY, "it to be busy")

    interrupted = interrupt(host, agent_id)
    again = interrupt(host, agent_id)

    assert interrupted.status is again.status is Status.RUNNING
    assert interrupted.activity is again.activity is Activity.IDLE


def test_an_interface_that_asks_a_person_is_not_interrupted(host: Host) -> None:
    """Esc would deny what it asks."""
    approval = asks(host)

    with pytest.raises(ApiError, match="asks for an approval, so it works on no turn") as refused:
        interrupt(host, approval.agent_id)

    assert refused.value.code is Code.CONFLICT
    assert "got " not in screen(host, approval.agent_id)


def test_a_program_whose_keys_are_not_known_is_not_interrupted(host: Host) -> None:
    with pytest.raises(ApiError, match="is not known") as refused:
        interrupt(host, command(host, "paste"))

    assert refused.value.code is Code.CONFLICT
