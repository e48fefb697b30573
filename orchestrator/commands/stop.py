"""Stop an agent: intent first, then the whole tree."""

from __future__ import annotations

from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.commands.converse import finish
from orchestrator.commands.reach import Reach
from relay.wire.agents import Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.steering import StopRequest
from spawners.errors import SessionEnded

__all__ = ["stop"]

GRACE_S = 5.0
GRACE_MAX_S = 3600.0
START_WAIT_S = 30.0


async def stop(reach: Reach, reference: str, request: StopRequest, by: str) -> AgentRecord:
    """Begin to end the agent's whole tree and return its record (`stopping`, or as it ended).

    Stopping an agent that has ended only means that no other is started in its place. Raises `ApiError` if
    there is none.
    """
    registry, supervisor = reach.registry, reach.supervisor
    grace_s = GRACE_S if request.grace_ms is None else request.grace_ms / 1000
    if not 0 <= grace_s <= GRACE_MAX_S:
        raise ApiError(Code.INVALID, f"graceMs must be between 0 and {int(GRACE_MAX_S * 1000)}")
    record = registry.find(reference)
    window = record.agent.window
    if record.agent.status is Status.STARTING and window is None:  # a window may take its time
        left = frozenset(Status) - {Status.STARTING}
        record = await registry.until(record.id, left, timeout_s=START_WAIT_S)
    if record.agent.ended:
        return supervisor.stay_down(record.id, request.by or by)
    if request.finish:
        await finish(reach, record)
        return registry.find(record.id)
    intent = StopIntent(by=request.by or by, at=now_ms(), grace_s=grace_s, kill=request.kill)
    try:
        return supervisor.stop(record.id, intent)
    except SessionEnded:
        return registry.find(record.id)
