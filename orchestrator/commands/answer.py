"""Answer what an agent asks approval for, exactly once, by the way its CLI takes answers."""

from __future__ import annotations

import msgspec

from orchestrator.commands import asked, menu
from orchestrator.commands.reach import Reach
from orchestrator.commands.speaking import ready
from orchestrator.daemon.observations import Observation
from relay.wire.approvals import AnswerRequest, Approval, ApprovalState, Verdict
from relay.wire.base import encode, now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.questions import check_answer, taken
from spawners.providers.base import Decision, ProviderError

__all__ = ["answer", "expire"]

_STATES = {Verdict.ALLOW: ApprovalState.ALLOWED, Verdict.DENY: ApprovalState.DENIED}


async def answer(reach: Reach, reference: str, request: AnswerRequest, by: str) -> Approval:
    """Give the answer of `by` to what `reference` names, and return the approval as it is then.

    Raises `ApiError`: `not_found`, `ambiguous`, `conflict` for what was settled before (with who did
    that), `ended`, `invalid` for an answer that its CLI has no words for, `busy` while a person types
    into its terminal. Nothing was answered then. `timeout` says that it is not known.
    """
    _check(request)
    approval = asked.find(reach.registry, reference)
    who = f"{request.by} ({by})" if request.by and request.by != by else by
    said = Decision(allow=request.decision is Verdict.ALLOW, reason=request.reason or "", input=request.input)
    return await _give(reach, approval, said, _STATES[request.decision], who)


async def expire(reach: Reach, approval: Approval) -> Approval:
    """Deny what nobody has answered in time. Raises `ApiError` as `answer` does."""
    waited_s = ((approval.expires_at or now_ms()) - approval.asked_at) / 1000
    said = Decision(allow=False, reason=f"nobody answered within {waited_s:g} s")
    return await _give(reach, approval, said, ApprovalState.EXPIRED, None)


def _check(request: AnswerRequest) -> None:
    check_answer(request)
    if request.input is not None:
        try:
            msgspec.json.decode(request.input.encode())
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise ApiError(Code.INVALID, f"the changed input is not JSON: {error}") from None


async def _give(
    reach: Reach, approval: Approval, said: Decision, state: ApprovalState, by: str | None
) -> Approval:
    if approval.state is not ApprovalState.PENDING:
        raise taken(approval)
    _, observation = reach.observed(approval.agent_id)
    settled = msgspec.structs.replace(
        approval, state=state, answered_at=now_ms(), answered_by=by, reason=said.reason or None
    )
    if observation.conversation is not None:
        await _say(reach, observation, settled, said)
    else:
        await menu.press(reach, observation, settled, said)
    return asked.now(reach.registry, approval)


async def _say(reach: Reach, observation: Observation, settled: Approval, said: Decision) -> None:
    conversation = observation.conversation
    assert conversation is not None
    await ready(conversation)
    # From here nothing waits: of two answers one finds nothing asked any more.
    request = observation.observer.request_of(settled.id)
    if request is None:
        raise taken(asked.now(reach.registry, settled))
    try:
        conversation.decide(request, said, encode(settled).decode())
    except ProviderError as error:
        raise ApiError(Code.INVALID, f"{error.message}; nothing was answered") from None
