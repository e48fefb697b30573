"""Go on with the conversation of an ended agent, as a new one."""

from __future__ import annotations

import os

import msgspec

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from relay.wire.agents import SpawnRequest
from relay.wire.errors import ApiError, Code
from relay.wire.resuming import going_on
from spawners.providers.base import Ability, Provider

__all__ = ["check_free", "resumed"]


def resumed(registry: Registry, request: SpawnRequest) -> SpawnRequest:
    """Return `request` with all that it leaves to the agent it resumes; as it is if it resumes none.

    Values of environment variables are not among that: no host remembers them. Raises `ApiError`: as
    `going_on` does, `not_found`, and `cwd_invalid` if the folder is gone.
    """
    if request.resume is None:
        return request
    former = registry.find(request.resume)
    request = going_on(request, former.agent)
    if former.agent.cwd is None or not os.path.isdir(former.agent.cwd):
        raise ApiError(
            Code.CWD_INVALID,
            f"agent {former.id} held its conversation in {former.agent.cwd}, which is gone; create it again",
        )
    return msgspec.structs.replace(request, model=request.model or former.model)


def check_free(registry: Registry, request: SpawnRequest, provider: Provider) -> str | None:
    """Return the id of the conversation that `request` goes on with, None for a new one.

    Raises `ApiError`: `invalid` for a provider that cannot resume, `conflict` while another agent holds
    the conversation: two of them would write into the same history.
    """
    if request.resume is None:
        return None
    if Ability.RESUME not in provider.abilities:
        raise ApiError(Code.INVALID, f"{provider.name} cannot resume a conversation; spawn it anew")
    session_id = registry.find(request.resume).agent.provider_session_id
    holder = next((r for r in registry.active if _holds(r, provider.name, session_id)), None)
    if holder is not None:
        raise ApiError(
            Code.CONFLICT,
            f"agent {holder.id} is going on with that conversation already; `muster send` speaks to it",
            holder=holder.id,
        )
    return session_id


def _holds(record: AgentRecord, provider: str, session_id: str | None) -> bool:
    return record.agent.provider == provider and record.agent.provider_session_id == session_id
