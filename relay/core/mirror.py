"""How the relay mirrors agents: what a host's word changes, and how an agent is shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from relay.core.records import AgentRecord, EventDraft, HostRecord
from relay.wire.agents import ENDED, Cause, CauseKind, ManagedAgent, Presence, Status
from relay.wire.approvals import Approval
from relay.wire.base import now_ms
from relay.wire.events import EventType
from relay.wire.questions import APPROVAL_ID, withdrawn

__all__ = ["Merge", "at_time", "ended", "event_of", "lost", "merge", "shown"]

_RANK = {Status.QUEUED: 0, Status.STARTING: 1, Status.RUNNING: 2, Status.STOPPING: 3}


@dataclass(frozen=True, slots=True)
class Merge:
    """`record` is what to store (None: nothing new), `event` what happened, `refused` why it is not taken."""

    record: AgentRecord | None = None
    event: EventType | None = None
    refused: str | None = None


def at_time(milliseconds: int) -> str:
    """Return a time for people, in UTC to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def merge(known: AgentRecord | None, said: ManagedAgent, host_id: str, now: int) -> Merge:
    """Return what host `host_id` saying `said` makes of `known`.

    The host is the authority on its agents, but an ending stands: only `lost` yields to evidence.
    Word that is older than what is known (a report that comes after the roster that already
    contained it) still is an event, but changes nothing.
    """
    if known is not None and known.host_id not in (None, host_id):
        return Merge(refused=f"agent {said.id} belongs to host {known.host_id}, not to {host_id}")
    said = msgspec.structs.replace(
        said,
        orchestrator_id=host_id,
        received_at=now,
        presence=Presence.NONE,
        presence_since=None,
        label=_clean(said.label),
        provider=said.provider.replace("\0", ""),
        approvals=_own(said, host_id),
    )
    kind = EventType.AGENT_ENDED if said.ended else EventType.AGENT_CHANGED
    ended_at = now if said.ended else None
    if known is not None:
        said = _with_origin(said, known.agent)
    if known is None:
        return Merge(AgentRecord(said, now, confirmed=True, ended_at=ended_at), kind)
    if known.agent.ended:
        return _after_the_end(known, said, now)
    if _older(said, known):
        return Merge(event=kind)
    return Merge(replace(known, agent=said, confirmed=True, ended_at=ended_at), kind)


def _own(said: ManagedAgent, host_id: str) -> list[Approval]:
    """What an agent asks, as its own: whatever the host put into it to tell whose it is."""
    return [
        msgspec.structs.replace(approval, agent_id=said.id, orchestrator_id=host_id)
        for approval in said.approvals
        if APPROVAL_ID.fullmatch(approval.id)
    ]


def _with_origin(said: ManagedAgent, known: ManagedAgent) -> ManagedAgent:
    """Return `said` with what only the relay may know of the request, where the host says nothing."""
    return msgspec.structs.replace(
        said,
        label=said.label or known.label,
        title=said.title or known.title,
        requested_by=said.requested_by or known.requested_by,
        idempotency_key=said.idempotency_key or known.idempotency_key,
        tags=said.tags or known.tags,
    )


def _after_the_end(known: AgentRecord, said: ManagedAgent, now: int) -> Merge:
    if known.agent.status is Status.LOST and said.status is not Status.LOST:
        ended_at = (known.ended_at or now) if said.ended else None
        return Merge(replace(known, agent=said, confirmed=True, ended_at=ended_at), EventType.AGENT_FOUND)
    if known.agent.status is said.status:
        event = EventType.AGENT_ENDED if said.updated_at <= known.agent.updated_at else None
        return Merge(replace(known, agent=said, confirmed=True), event)
    return Merge(event=None if said.ended else EventType.AGENT_CHANGED)


def _older(said: ManagedAgent, known: AgentRecord) -> bool:
    if not known.confirmed or said.ended:
        return False
    newer = (said.updated_at, _RANK[said.status]) >= (known.agent.updated_at, _RANK[known.agent.status])
    return not newer and _RANK[said.status] <= _RANK[known.agent.status]


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "")


def ended(record: AgentRecord, status: Status, cause: Cause, now: int) -> AgentRecord:
    """Return `record` as ended by the relay itself, at `now`."""
    assert status in ENDED
    agent = msgspec.structs.replace(
        record.agent,
        status=status,
        cause=cause,
        ended_at=now,
        updated_at=now,
        received_at=now,
        reason=None,
        approvals=withdrawn(record.agent.approvals, now),
    )
    return replace(record, agent=agent, ended_at=now)


def lost(record: AgentRecord, message: str, now: int, by: str | None = None) -> AgentRecord:
    """Return `record` as lost."""
    return ended(record, Status.LOST, Cause(kind=CauseKind.UNKNOWN, message=message, by=by), now)


def shown(record: AgentRecord, host: HostRecord | None) -> ManagedAgent:
    """Return the agent as clients see it: with the presence that its host's lease gives it."""
    agent = record.agent
    if agent.ended:
        return agent
    waiting = agent.status is Status.QUEUED and not record.confirmed
    reason = _queued_reason(record, host) if waiting else agent.reason
    presence, since = _presence(record, host, waiting)
    return msgspec.structs.replace(agent, presence=presence, presence_since=since, reason=reason)


def _presence(record: AgentRecord, host: HostRecord | None, waiting: bool) -> tuple[Presence, int | None]:
    if waiting and record.delivered_at is None:
        return Presence.NONE, None
    if host is None:
        return Presence.UNKNOWN, None
    if not host.online:
        return Presence.UNKNOWN, host.changed_at
    if waiting:
        return Presence.NONE, None
    return Presence.LIVE, max(host.changed_at, record.stored_at)


def _queued_reason(record: AgentRecord, host: HostRecord | None) -> str | None:
    state = ""
    if host is None:
        state = "; the host is not known any more"
    elif not host.online:
        state = f"; {host.id} is offline since {at_time(host.changed_at)}"
    if record.delivered_at is None:
        return record.agent.reason or f"waits for {record.host_id} to fetch it{state}"
    return f"sent to {record.host_id} at {at_time(record.delivered_at)}, not confirmed yet{state}"


def event_of(
    type_: EventType,
    record: AgentRecord,
    *,
    at: int | None = None,
    kind: str | None = None,
    approval: Approval | None = None,
) -> EventDraft:
    """Return the log entry for what happened to an agent, or to the `approval` that it asks for."""
    now = now_ms()
    agent = record.agent
    data: dict[str, Any] = {"status": agent.status, "provider": agent.provider, "label": agent.label}
    if kind is not None:
        data["kind"] = kind
    if approval is not None:
        data["approval"] = msgspec.to_builtins(approval)
    for name in ("activity", "cause", "reason"):
        value = getattr(agent, name)
        if value is not None:
            data[name] = msgspec.to_builtins(value)
    return EventDraft(type_, now if at is None else at, now, record.host_id, agent.id, data)
