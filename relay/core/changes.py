"""One change of the store: its events are logged with it, and who waits for it is woken after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from relay.core.mirror import event_of
from relay.core.ports import Bus, Store, Transaction
from relay.core.records import AgentRecord, EventDraft
from relay.wire.base import now_ms
from relay.wire.events import EventType
from relay.wire.questions import changed

__all__ = ["EVENTS_TOPIC", "Change", "Changes", "agent_topic", "command_topic", "host_topic"]

EVENTS_TOPIC = "events"


def agent_topic(agent_id: str) -> str:
    return f"agent:{agent_id}"


def host_topic(host_id: str) -> str:
    """Published when there is something to send to the host, or its stream has to end."""
    return f"host:{host_id}"


def command_topic(command_id: int) -> str:
    return f"command:{command_id}"


class Change:
    """A writing transaction with what is to be told about it."""

    def __init__(self, transaction: Transaction) -> None:
        self.tx = transaction
        self.drafts: list[EventDraft] = []
        self.topics: set[str] = set()

    def wake(self, topic: str) -> None:
        self.topics.add(topic)

    def agent_event(
        self, type_: EventType, record: AgentRecord, *, at: int | None = None, kind: str | None = None
    ) -> None:
        """Log what happened to an agent; `at` is by the clock of whoever saw it."""
        self.drafts.append(event_of(type_, record, at=at, kind=kind))
        self.wake(agent_topic(record.id))

    def approval_events(self, before: AgentRecord | None, after: AgentRecord, at: int | None = None) -> None:
        """Log what an agent asks and did not before, and what is settled and was not before."""
        asked, settled = changed(before.agent.approvals if before else [], after.agent.approvals)
        for type_, several in ((EventType.APPROVAL_ASKED, asked), (EventType.APPROVAL_SETTLED, settled)):
            self.drafts += [event_of(type_, after, at=at, approval=approval) for approval in several]

    def host_event(self, type_: EventType, host_id: str, **data: Any) -> None:
        now = now_ms()
        self.drafts.append(EventDraft(type_, now, now, host_id, None, data))


class Changes:
    """Makes changes; the one way of the rules to write to the store."""

    def __init__(self, store: Store, bus: Bus, events_kept: int) -> None:
        self._store = store
        self._bus = bus
        self._events_kept = events_kept

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Change]:
        """Enter a writing transaction; when the block ends, commit, and only then wake."""
        async with self._store.writing() as transaction:
            change = Change(transaction)
            yield change
            await transaction.events.append(change.drafts, self._events_kept)
        if change.drafts:
            self._bus.publish(EVENTS_TOPIC)
        for topic in change.topics:
            self._bus.publish(topic)
