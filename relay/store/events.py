"""The bounded event log in the database."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.core.records import EventDraft
from relay.store.statements import upsert
from relay.store.tables import EVENTS, TRIMMED
from relay.wire.base import encode
from relay.wire.events import Event

__all__ = ["EventTable"]

_ADD = insert(EVENTS)  # built once, like the next, for that takes ten times as long as to run it
_NEWEST = select(func.max(EVENTS.c.id))
TRIM_EVERY = 64
"""So that not every event costs a deletion; the log exceeds its bound by at most this many."""


class EventTable:
    """See `core.ports.Events`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, drafts: Sequence[EventDraft], keep: int) -> None:
        if not drafts:
            return
        rows = [
            {
                "type": draft.type,
                "at": draft.at,
                "received_at": draft.received_at,
                "host_id": draft.orchestrator_id,
                "agent_id": draft.agent_id,
                "data": encode(draft.data).decode(),
            }
            for draft in drafts
        ]
        if len(rows) == 1:
            key = (await self._connection.execute(_ADD, rows[0])).inserted_primary_key
            assert key is not None
            head = int(key[0])
        else:
            await self._connection.execute(_ADD, rows)
            head = await self._newest()
        if head % TRIM_EVERY < len(rows):
            await self._trim(head - keep)

    async def head(self) -> int:
        return max(await self._newest(), await self.trimmed())

    async def trimmed(self) -> int:
        return await self._connection.scalar(select(TRIMMED.c.last_id)) or 0

    async def page(
        self, after: int, *, agent_id: str | None, orchestrator_id: str | None, limit: int
    ) -> list[Event]:
        statement = select(EVENTS).where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(limit)
        if agent_id is not None:
            statement = statement.where(EVENTS.c.agent_id == agent_id)
        if orchestrator_id is not None:
            statement = statement.where(EVENTS.c.host_id == orchestrator_id)
        return [
            Event(
                id=row.id,
                type=row.type,
                at=row.at,
                received_at=row.received_at,
                orchestrator_id=row.host_id,
                agent_id=row.agent_id,
                data=msgspec.json.decode(row.data),
            )
            for row in await self._connection.execute(statement)
        ]

    async def _newest(self) -> int:
        return await self._connection.scalar(_NEWEST) or 0

    async def _trim(self, last: int) -> None:
        dropped = await self._connection.execute(delete(EVENTS).where(EVENTS.c.id <= last))
        if dropped.rowcount:
            await upsert(self._connection, TRIMMED, [{"one": 1, "last_id": last}])
