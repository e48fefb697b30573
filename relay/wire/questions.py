"""How approvals are listed, named, checked and told apart, alike on both ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from relay.wire.approvals import MAX_ANSWER, MAX_INPUT, AnswerRequest, Approval, ApprovalState, Verdict
from relay.wire.errors import ApiError, Code

__all__ = [
    "APPROVAL_ID",
    "LIKE_AN_ID",
    "changed",
    "check_answer",
    "named",
    "only",
    "states",
    "taken",
    "withdrawn",
]

APPROVAL_ID = re.compile(r"ap-[0-9a-f]{12}")
LIKE_AN_ID = re.compile(r"ap-[0-9a-f]{0,12}")
"""An approval's id or the beginning of one; anything else after `ap-` can only be a label."""


def states(text: str) -> frozenset[ApprovalState]:
    """Return the states that a list is asked for. Raises `ApiError` `invalid`."""
    if text == "all":
        return frozenset(ApprovalState)
    try:
        return frozenset(ApprovalState(name.strip()) for name in text.split(","))
    except ValueError:
        known = ", ".join(["all", *ApprovalState])
        raise ApiError(Code.INVALID, f"state {text!r} is not one of {known}") from None


def named(reference: str, approvals: Iterable[Approval]) -> Approval | None:
    """Return the approval whose id `reference` is, or begins, with or without `ap-`; None: there is none.

    Those that are pending come first. Raises `ApiError` `ambiguous` with the ids in its details.
    """
    prefixes = (reference, f"ap-{reference}")
    found = [approval for approval in approvals if reference and approval.id.startswith(prefixes)]
    exact = [approval for approval in found if approval.id == reference]
    pending = [approval for approval in found if approval.state is ApprovalState.PENDING]
    for several in (exact, pending, found):
        if len(several) > 1:
            raise _ambiguous(repr(reference), several)
        if several:
            return several[0]
    return None


def only(agent_id: str, approvals: Iterable[Approval]) -> Approval:
    """Return the one thing that an agent asks now. Raises `ApiError` `not_found` or `ambiguous`."""
    pending = [approval for approval in approvals if approval.state is ApprovalState.PENDING]
    if not pending:
        raise ApiError(
            Code.NOT_FOUND, f"agent {agent_id} asks nothing; `muster approvals` lists what is asked"
        )
    if len(pending) > 1:
        raise _ambiguous(f"what agent {agent_id} asks", pending)
    return pending[0]


def _ambiguous(what: str, approvals: Sequence[Approval]) -> ApiError:
    ids = sorted(approval.id for approval in approvals)
    shown = ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
    return ApiError(Code.AMBIGUOUS, f"{what} could be {shown}; give one of these", candidates=ids)


def check_answer(request: AnswerRequest) -> None:
    """Raise `ApiError` for an answer that nobody could take, whatever was asked."""
    if request.input is not None and request.decision is Verdict.DENY:
        raise ApiError(Code.INVALID, "a changed input goes with allow: what is denied does not run")
    if len(request.reason or "") > MAX_INPUT or len(request.input or "") > MAX_ANSWER:
        raise ApiError(
            Code.TOO_LARGE, f"a reason has at most {MAX_INPUT} characters, a changed input {MAX_ANSWER}"
        )


def taken(approval: Approval) -> ApiError:
    """Return what somebody is told whose answer came too late."""
    by = f" by {approval.answered_by}" if approval.answered_by else ""
    reason = f" ({approval.reason})" if approval.reason else ""
    if approval.state is ApprovalState.WITHDRAWN:
        words = "is no longer asked: it was answered in the agent's own terminal, or its turn is over"
    else:
        words = f"was {approval.state} before{by}{reason}"
    return ApiError(
        Code.CONFLICT,
        f"{approval.id} {words}; nothing was changed",
        state=approval.state,
        answeredBy=approval.answered_by,
        answeredAt=approval.answered_at,
    )


def changed(before: Sequence[Approval], after: Sequence[Approval]) -> tuple[list[Approval], list[Approval]]:
    """Return what is asked now and was not, and what is settled now and was not (or was not known)."""
    known = {approval.id: approval.state for approval in before}
    fresh = [approval for approval in after if known.get(approval.id) != approval.state]
    asked = [approval for approval in fresh if approval.state is ApprovalState.PENDING]
    return asked, [approval for approval in fresh if approval.state is not ApprovalState.PENDING]


def withdrawn(approvals: Sequence[Approval], now: int) -> list[Approval]:
    """Return `approvals` of an agent that asks nothing any more."""
    return [
        msgspec.structs.replace(approval, state=ApprovalState.WITHDRAWN, answered_at=now)
        if approval.state is ApprovalState.PENDING
        else approval
        for approval in approvals
    ]
