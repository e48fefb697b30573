"""Agents in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.core.records import AgentRecord
from relay.store.statements import upsert
from relay.store.tables import AGENTS
from relay.wire.agents import ManagedAgent, Status
from relay.wire.approvals import ApprovalState
from relay.wire.base import decode, encode
from relay.wire.orchestrators import RosterEntry
from relay.wire.queries import AgentListQuery

__all__ = ["AgentTable"]

CHUNK = 500
"""Ids per query; well under the 999 parameters that old SQLite builds allow."""

_RECORD = (
    AGENTS.c.body,
    AGENTS.c.stored_at,
    AGENTS.c.caller,
    AGENTS.c.delivered_at,
    AGENTS.c.confirmed,
    AGENTS.c.ended_at,
)

# Built once, like all statements here that every spawn needs: that takes ten times as long as to run one.
_RECORDS = select(*_RECORD).order_by(AGENTS.c.stored_at.desc(), AGENTS.c.id)
_BY_ID = _RECORDS.where(AGENTS.c.id == bindparam("id"))
_BY_IDS = _RECORDS.where(AGENTS.c.id.in_(bindparam("ids", expanding=True)))
_BY_KEY = _RECORDS.where(AGENTS.c.caller == bindparam("caller"), AGENTS.c.idempotency_key == bindparam("key"))
_DELIVER = update(AGENTS).where(AGENTS.c.id.in_(bindparam("ids", expanding=True)))
_DELIVER = _DELIVER.values(delivered_at=bindparam("at"))


class AgentTable:
    """See `core.ports.Agents`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, agent_id: str) -> AgentRecord | None:
        found = await self._records(_BY_ID, id=agent_id)
        return found[0] if found else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, AgentRecord]:
        records: dict[str, AgentRecord] = {}
        for start in range(0, len(ids), CHUNK):
            found = await self._records(_BY_IDS, ids=list(ids[start : start + CHUNK]))
            records.update((record.id, record) for record in found)
        return records

    async def by_key(self, caller: str, key: str) -> AgentRecord | None:
        found = await self._records(_BY_KEY, caller=caller, key=key)
        return found[0] if found else None

    async def put(self, records: Sequence[AgentRecord]) -> None:
        rows = [_row(record) for record in records]
        await upsert(
            self._connection, AGENTS, rows, kept=("stored_at", "caller", "idempotency_key", "parent_id")
        )

    async def find(self, query: AgentListQuery) -> list[AgentRecord]:
        conditions = [*_of_status(query.status)]
        for column, value in (
            (AGENTS.c.host_id, query.orchestrator_id),
            (AGENTS.c.provider, query.provider),
            (AGENTS.c.label, query.label),
            (AGENTS.c.parent_id, query.parent_id),
        ):
            if value is not None:
                conditions.append(column == value)
        if query.tag is not None:
            conditions.append(AGENTS.c.tags.contains(_tags([query.tag]), autoescape=True))
        return await self._select(*conditions, limit=query.limit)

    async def candidates(self, reference: str) -> list[AgentRecord]:
        return await self._select(
            or_(
                AGENTS.c.id.startswith(reference, autoescape=True),
                AGENTS.c.id.startswith(f"ag-{reference}", autoescape=True),
                AGENTS.c.label == reference,
            ),
            limit=1000,
        )

    async def asking(
        self, *, pending: bool, host_id: str | None = None, agent_id: str | None = None
    ) -> list[AgentRecord]:
        conditions = [AGENTS.c.pending_approvals > 0 if pending else AGENTS.c.approvals.is_not(None)]
        if host_id is not None:
            conditions.append(AGENTS.c.host_id == host_id)
        if agent_id is not None:
            conditions.append(AGENTS.c.id == agent_id)
        return await self._select(*conditions)

    async def asked(self, reference: str) -> list[AgentRecord]:
        return await self._select(
            or_(
                AGENTS.c.approvals.contains(f"\n{reference}", autoescape=True),
                AGENTS.c.approvals.contains(f"\nap-{reference}", autoescape=True),
            ),
            limit=1000,
        )

    async def live_of(self, host_id: str) -> list[AgentRecord]:
        return await self._select(AGENTS.c.host_id == host_id, AGENTS.c.ended_at.is_(None))

    async def rosters(self, host_id: str | None = None) -> dict[str, list[RosterEntry]]:
        statement = select(AGENTS.c.host_id, AGENTS.c.body).where(
            AGENTS.c.ended_at.is_(None),
            AGENTS.c.host_id.is_not(None) if host_id is None else AGENTS.c.host_id == host_id,
        )
        rosters: dict[str, list[RosterEntry]] = {}
        for host, body in await self._connection.execute(statement.order_by(AGENTS.c.stored_at)):
            rosters.setdefault(host, []).append(decode(body.encode(), RosterEntry))
        return rosters

    async def mark_delivered(self, ids: Sequence[str], at: int) -> None:
        await self._connection.execute(_DELIVER, {"ids": list(ids), "at": at})

    async def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), CHUNK):
            await self._connection.execute(delete(AGENTS).where(AGENTS.c.id.in_(ids[start : start + CHUNK])))

    async def ended_before(self, at: int, limit: int) -> list[str]:
        statement = select(AGENTS.c.id).where(AGENTS.c.ended_at < at).order_by(AGENTS.c.ended_at)
        return list((await self._connection.scalars(statement.limit(limit))).all())

    async def _select(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[AgentRecord]:
        return await self._records(_RECORDS.where(*conditions).limit(limit))

    async def _records(self, statement: Select[Any], **values: Any) -> list[AgentRecord]:
        rows = await self._connection.execute(statement, values)
        return [_record(tuple(row)) for row in rows]


def _of_status(status: str) -> list[ColumnElement[bool]]:
    if status == "all":
        return []
    if status == "live":
        return [AGENTS.c.ended_at.is_(None)]
    if status == "ended":
        return [AGENTS.c.ended_at.is_not(None)]
    return [AGENTS.c.status.in_([Status(name.strip()).value for name in status.split(",")])]


def _tags(tags: list[str]) -> str:
    return "".join(f"\n{tag}\n" for tag in tags)


def _record(row: tuple[Any, ...]) -> AgentRecord:
    body, stored_at, caller, delivered_at, confirmed, ended_at = row
    agent = decode(body.encode(), ManagedAgent)
    return AgentRecord(agent, stored_at, caller, delivered_at, confirmed, ended_at)


def _row(record: AgentRecord) -> dict[str, Any]:
    agent = record.agent
    return {
        "id": agent.id,
        "status": agent.status.value,
        "host_id": agent.orchestrator_id,
        "provider": agent.provider,
        "label": agent.label,
        "parent_id": agent.parent_id,
        "tags": _tags(agent.tags),
        "caller": record.caller,
        "idempotency_key": agent.idempotency_key if record.caller is not None else None,
        "confirmed": record.confirmed,
        "stored_at": record.stored_at,
        "delivered_at": record.delivered_at,
        "ended_at": record.ended_at,
        "body": encode(agent).decode(),
        "approvals": "".join(f"\n{approval.id}" for approval in agent.approvals) or None,
        "pending_approvals": sum(each.state is ApprovalState.PENDING for each in agent.approvals),
    }
