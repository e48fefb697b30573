"""The event log: what happened, once, in order."""

from __future__ import annotations

import enum
from typing import Any

from relay.wire.base import Wire

__all__ = ["Event", "EventType"]


class EventType(enum.StrEnum):
    """`log.gap` is sent when a reader asks for events that have left the bounded log."""

    AGENT_QUEUED = "agent.queued"
    AGENT_CHANGED = "agent.changed"
    AGENT_ENDED = "agent.ended"
    AGENT_FOUND = "agent.found"
    AGENT_FORGOTTEN = "agent.forgotten"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_SETTLED = "approval.settled"
    ORCHESTRATOR_REGISTERED = "orchestrator.registered"
    ORCHESTRATOR_ONLINE = "orchestrator.online"
    ORCHESTRATOR_OFFLINE = "orchestrator.offline"
    ORCHESTRATOR_REMOVED = "orchestrator.removed"
    LOG_GAP = "log.gap"


class Event(Wire, frozen=True, kw_only=True):
    """`at` is when it happened by the clock of whoever saw it, `receivedAt` when the relay heard."""

    id: int
    type: str
    at: int
    received_at: int
    orchestrator_id: str | None = None
    agent_id: str | None = None
    data: dict[str, Any] = {}
