"""What a request to go on with an ended agent's conversation comes to. Pure: relay and host ask the same."""

from __future__ import annotations

import msgspec

from relay.wire.agents import ManagedAgent, SpawnRequest
from relay.wire.errors import ApiError, Code

__all__ = ["going_on"]

NOT_GIVEN = SpawnRequest().provider
"""A request without a provider looks like one that names this one, which holds no conversations."""


def going_on(request: SpawnRequest, former: ManagedAgent) -> SpawnRequest:
    """Return `request` with all that it leaves to `former`, the agent that `request.resume` names.

    It is safe to repeat. Raises `ApiError`: `conflict` for an agent that still runs, or whose CLI never
    said which conversation it held (an id is never guessed from what lies on a disk), and `invalid` for
    another provider, host or folder than it had: a conversation does not move.
    """
    if not former.ended:
        raise ApiError(
            Code.CONFLICT,
            f"agent {former.id} is {former.status}: `muster send` speaks to it, and once it has ended it can "
            "be resumed",
            status=former.status,
        )
    if former.provider_session_id is None:
        raise ApiError(
            Code.CONFLICT,
            f"agent {former.id} ({former.provider}) cannot be resumed: its program never said which "
            "conversation it held; spawn it anew",
        )
    _check_same(request, former)
    return msgspec.structs.replace(
        request,
        resume=former.id,
        provider=former.provider,
        orchestrator_id=request.orchestrator_id or former.orchestrator_id,
        placement=None,
        cwd=former.cwd,
        approval_mode=request.approval_mode or former.approval_mode,
        label=request.label or former.label,
        tags=request.tags or former.tags,
    )


def _check_same(request: SpawnRequest, former: ManagedAgent) -> None:
    if request.provider not in (NOT_GIVEN, former.provider):
        raise _refuse(former, f"of {former.provider}, not of {request.provider}; leave the provider out")
    if request.orchestrator_id not in (None, former.orchestrator_id):
        raise _refuse(
            former, f"on host {former.orchestrator_id}, not on {request.orchestrator_id}; leave the host out"
        )
    if request.placement is not None and request.placement.labels:
        raise _refuse(former, f"on host {former.orchestrator_id}; leave the placement out")
    if request.cwd not in (None, former.cwd):
        raise _refuse(former, f"in {former.cwd}, not in {request.cwd}; leave the folder out")


def _refuse(former: ManagedAgent, where: str) -> ApiError:
    return ApiError(Code.INVALID, f"agent {former.id} held its conversation {where}")
