"""What the agents of this host ask and have asked approval for."""

from __future__ import annotations

import msgspec

from orchestrator.agents.registry import Registry
from relay.wire.approvals import Approval, ApprovalListQuery, ApprovalState
from relay.wire.errors import ApiError, Code
from relay.wire.questions import LIKE_AN_ID, named, only, states

__all__ = ["find", "listed", "now"]


def listed(registry: Registry, query: ApprovalListQuery) -> list[Approval]:
    """Return what matches `query`, oldest first. Raises `ApiError` `invalid`."""
    wanted = states(query.state)
    agent_id = registry.find(query.agent_id).id if query.agent_id is not None else None
    found = [
        approval
        for record in registry
        for approval in record.agent.approvals
        if approval.state in wanted
        and agent_id in (None, record.id)
        and query.orchestrator_id in (None, record.agent.orchestrator_id)
    ]
    found.sort(key=lambda approval: (approval.asked_at, approval.id))
    return found[: max(0, query.limit)]


def find(registry: Registry, reference: str) -> Approval:
    """Return what `reference` names: an approval's id or the beginning of one, or the agent that asks.

    Raises `ApiError`: `not_found`, or `ambiguous` for an agent that asks more than one thing.
    """
    if not reference.startswith("ag-"):
        approval = named(reference, (each for record in registry for each in record.agent.approvals))
        if approval is not None:
            return approval
        if LIKE_AN_ID.fullmatch(reference):
            raise ApiError(
                Code.NOT_FOUND, f"no approval {reference!r} here; `muster approvals --all` lists them"
            )
    record = registry.find(reference)
    return only(record.id, record.agent.approvals)


def now(registry: Registry, approval: Approval) -> Approval:
    """Return the approval as its agent's record has it; one that is no longer kept was withdrawn."""
    record = registry.get(approval.agent_id)
    known = record.agent.approvals if record is not None else []
    withdrawn = msgspec.structs.replace(approval, state=ApprovalState.WITHDRAWN)
    return next((each for each in known if each.id == approval.id), withdrawn)
