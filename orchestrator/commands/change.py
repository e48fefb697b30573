"""Have an agent go on with another model or approval mode."""

from __future__ import annotations

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from orchestrator.commands.speaking import ready
from orchestrator.policy import check_approval_mode
from relay.wire.errors import ApiError, Code
from relay.wire.steering import ChangeRequest
from spawners.providers.base import ApprovalMode, ProviderError

__all__ = ["change"]


async def change(reach: Reach, reference: str, request: ChangeRequest) -> AgentRecord:
    """Tell an agent's CLI what `request` holds and return the agent's record.

    The record shows it once the CLI confirms it, at the latest with its next turn. Raises `ApiError`:
    `invalid`, `policy_refused` for a mode above the host's highest, `conflict` for an agent whose CLI
    cannot change that while it runs, `ended`.
    """
    if request.model is None and request.approval_mode is None:
        raise ApiError(Code.INVALID, "nothing to change: give model or approvalMode")
    if request.model is not None and not request.model.strip():
        raise ApiError(Code.INVALID, "a model has a name")
    mode = None
    if request.approval_mode is not None:
        check_approval_mode(reach.policy, request.approval_mode)
        mode = ApprovalMode(request.approval_mode)
    record, conversation = reach.conversation(reference)
    await ready(conversation)
    try:
        conversation.change(request.model, mode)
    except ProviderError as error:
        raise ApiError(Code.CONFLICT, f"agent {record.id}: {error.message}; nothing was changed") from None
    return reach.registry.get(record.id) or record
