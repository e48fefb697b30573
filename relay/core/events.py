"""The event log, as readers follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from relay.core.changes import EVENTS_TOPIC
from relay.core.ports import Bus, Store
from relay.wire.base import now_ms
from relay.wire.events import Event, EventType
from relay.wire.queries import EventsQuery

__all__ = ["EventLog"]

PAGE = 500


class EventLog:
    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus

    async def follow(self, query: EventsQuery) -> AsyncIterator[Event]:
        """Yield the events after `query.after` (absent: from now on) and go on until the relay stops.

        What has left the bounded log is told first, as one `log.gap` with the ids `from` and `to`; so
        is an `after` from the future, which only a reader of another database can have.
        """
        with self._bus.subscribe(EVENTS_TOPIC) as wakeups:
            async with self._store.reading() as transaction:
                head = await transaction.events.head()
                trimmed = await transaction.events.trimmed()
            after = head if query.after is None else query.after
            if after > head:
                yield _gap(0, 0, "this log is shorter than that: it belongs to another database")
                after = 0
            if after < trimmed:
                yield _gap(after + 1, trimmed, "these events have left the bounded log")
                after = trimmed
            while True:
                page = await self._page(query, after)
                for event in page:
                    yield event
                if page:
                    after = page[-1].id
                if len(page) < PAGE and not await wakeups.wait():
                    return

    async def _page(self, query: EventsQuery, after: int) -> list[Event]:
        async with self._store.reading() as transaction:
            return await transaction.events.page(
                after, agent_id=query.agent_id, orchestrator_id=query.orchestrator_id, limit=PAGE
            )


def _gap(start: int, end: int, message: str) -> Event:
    now = now_ms()
    data = {"from": start, "to": end, "message": message}
    return Event(id=end, type=EventType.LOG_GAP, at=now, received_at=now, data=data)
