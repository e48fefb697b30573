"""The live session behind an agent's id, prefix or label."""

from __future__ import annotations

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.daemon.supervise import Supervisor
from relay.wire.agents import Status
from relay.wire.errors import ApiError, Code
from spawners.session import Session

__all__ = ["running"]


def running(registry: Registry, supervisor: Supervisor, reference: str) -> tuple[AgentRecord, Session]:
    """Return the agent's record and its session. Raises `ApiError` `not_found`, `ended` or `busy`."""
    record = registry.find(reference)
    session = supervisor.live(record.id)
    if not record.agent.ended and session is not None:
        return record, session
    if record.agent.status is Status.STARTING:
        raise ApiError(Code.BUSY, f"agent {record.id} is still starting; try again")
    raise ApiError(Code.ENDED, f"agent {record.id} is {record.agent.status}, so nothing can reach it")
