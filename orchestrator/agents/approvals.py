"""What an agent asks approval for, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.wire.agents import ManagedAgent
from relay.wire.approvals import MAX_INPUT, Approval, ApprovalState, approval_id
from spawners.providers.events import ApprovalAsked

__all__ = ["KEPT", "asked", "settled"]

KEPT = 20
"""Questions that an agent's record holds, the answered ones among them."""


def asked(
    agent: ManagedAgent, event: ApprovalAsked, at: int, channel: str, timeout_ms: int | None
) -> Approval:
    """Return the approval that `event` asks for."""
    return Approval(
        id=approval_id(agent.id, event.id),
        agent_id=agent.id,
        orchestrator_id=agent.orchestrator_id,
        label=agent.label,
        provider=agent.provider,
        tool=event.tool,
        title=event.title,
        input=event.input[:MAX_INPUT],
        input_cut=len(event.input) > MAX_INPUT,
        channel=channel,
        asked_at=at,
        expires_at=at + timeout_ms if timeout_ms else None,
    )


def settled(
    known: Sequence[Approval], pending: Sequence[Approval], answers: Mapping[str, Approval], now: int
) -> list[Approval]:
    """Return `known` brought up to date with what is `pending` now, at most `KEPT`, newest last.

    What is no longer asked has the answer that was given, or was withdrawn. What was settled and is asked
    all the same is pending again: the CLI knows best.
    """
    asking = {approval.id: approval for approval in pending}
    kept: list[Approval] = []
    for approval in known:
        waits = approval.state is ApprovalState.PENDING
        if waits and approval.id not in asking:
            withdrawn = msgspec.structs.replace(approval, state=ApprovalState.WITHDRAWN, answered_at=now)
            kept.append(answers.get(approval.id, withdrawn))
        else:
            kept.append(approval if waits else asking.get(approval.id, approval))
    there = {approval.id for approval in kept}
    kept += [approval for approval in pending if approval.id not in there]
    old = len(kept) - KEPT
    while old > 0:
        settled_one = next((a for a in kept if a.state is not ApprovalState.PENDING), None)
        if settled_one is None:
            break
        kept.remove(settled_one)
        old -= 1
    return kept
