"""`approvals`, `approve`, `deny`, `set`: what they ask, what they say, what they exit with."""

from __future__ import annotations

import msgspec
from local_api import NOW, FakeServer, an_agent
from muster_command import Muster

from relay.wire.agents import Activity
from relay.wire.approvals import AnswerRequest, Approval, ApprovalState, Verdict
from relay.wire.endpoints import ANSWER_APPROVAL, CHANGE_AGENT, LIST_AGENTS, LIST_APPROVALS
from relay.wire.errors import ApiError, Code

ASKED = Approval(
    id="ap-0123456789ab", agent_id="ag-0123456789ab", tool="Bash", input='{"command":"ls"}', asked_at=NOW
)


def settled(state: ApprovalState) -> Approval:
    return msgspec.structs.replace(ASKED, state=state, answered_by="ann (local)")


def test_an_answer_is_signed_and_told(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(ANSWER_APPROVAL, settled(ApprovalState.ALLOWED))

    said = muster("approve", "ap-01", "--input", '{"command":"pwd"}', "--reason", "so")

    assert (said.code, said.text) == (0, "ap-0123456789ab allowed by ann (local): Bash: ls\n")
    (call,) = daemon.made(ANSWER_APPROVAL)
    assert call.id == "ap-01"
    assert call.body == AnswerRequest(
        decision=Verdict.ALLOW, input='{"command":"pwd"}', reason="so", by=call.body.by
    )
    assert call.body.by


def test_an_answer_that_came_too_late_fails(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(ANSWER_APPROVAL, ApiError(Code.CONFLICT, "was denied before by ann; nothing was changed"))

    said = muster("deny", "ap-01")

    assert (said.code, said.text) == (1, "")
    assert "by ann" in said.err


def test_an_agent_does_not_answer(muster: Muster, daemon: FakeServer) -> None:
    muster.variables["MUSTER_AGENT_ID"] = "ag-0123456789ab"

    said = muster("approve", "ap-01")

    assert (said.code, "leave it to a person" in said.err) == (5, True)
    assert daemon.made(ANSWER_APPROVAL) == []


def test_what_is_asked_is_seen_in_both_lists(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(LIST_APPROVALS, [ASKED])
    daemon.on(LIST_AGENTS, [an_agent(approvals=[ASKED], activity=Activity.BLOCKED)])

    assert muster("approvals", "--json").json == [msgspec.to_builtins(ASKED)]
    assert "ap-0123456789ab" in muster("approvals").text
    listed = muster("ps").text
    assert "blocked" in listed and "asks: Bash: ls" in listed


def test_a_change_says_what_is_to_change(muster: Muster, daemon: FakeServer) -> None:
    said = muster("set", "x")

    assert (said.code, "--model or --approval" in said.err) == (2, True)


def test_a_change_that_its_cli_has_not_confirmed_is_not_shown_as_done(
    muster: Muster, daemon: FakeServer
) -> None:
    daemon.on(CHANGE_AGENT, an_agent(model="old", approval_mode="guarded"))

    said = muster("set", "x", "--model", "new", "--approval", "guarded").text

    assert said == "ag-0123456789ab model old (asked for new: with its next turn), approval guarded\n"
