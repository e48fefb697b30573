"""The command queues in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.core.records import CommandRecord, CommandState, NewCommand
from relay.store.tables import COMMANDS
from relay.wire.base import encode
from relay.wire.commands import CommandBody

__all__ = ["CommandTable"]

_bodies = msgspec.json.Decoder(CommandBody)

_WAITING = and_(
    COMMANDS.c.kind == "spawn", COMMANDS.c.state == CommandState.PENDING, COMMANDS.c.delivered_at.is_(None)
)


class CommandTable:
    """See `core.ports.Commands`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, command: NewCommand) -> int:
        body = msgspec.to_builtins(command.body)
        values = {
            "host_id": command.host_id,
            "agent_id": body.get("agentId"),
            "kind": body["kind"],
            "state": CommandState.PENDING,
            "payload": encode(body).decode(),
            "created_at": command.created_at,
            "expires_at": command.expires_at,
            "deadline_at": command.deadline_at,
        }
        result = await self._connection.execute(insert(COMMANDS).values(values))
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])

    async def get(self, command_id: int) -> CommandRecord | None:
        found = await self._select(COMMANDS.c.id == command_id)
        return found[0] if found else None

    async def pending(self, host_id: str, after: int) -> list[CommandRecord]:
        return await self._select(
            COMMANDS.c.state == CommandState.PENDING, COMMANDS.c.host_id == host_id, COMMANDS.c.id > after
        )

    async def of_agent(self, agent_id: str) -> list[CommandRecord]:
        return await self._select(COMMANDS.c.agent_id == agent_id, COMMANDS.c.state == CommandState.PENDING)

    async def unplaced(self) -> list[CommandRecord]:
        return await self._select(_WAITING, COMMANDS.c.host_id.is_(None))

    async def overdue(self, at: int) -> list[CommandRecord]:
        return await self._select(_WAITING, COMMANDS.c.deadline_at <= at)

    async def next_deadline(self) -> int | None:
        value = await self._connection.scalar(select(func.min(COMMANDS.c.deadline_at)).where(_WAITING))
        return None if value is None else int(value)

    async def mark_delivered(self, ids: Sequence[int], at: int) -> None:
        chosen = and_(COMMANDS.c.id.in_(ids), COMMANDS.c.delivered_at.is_(None))
        await self._connection.execute(update(COMMANDS).where(chosen).values(delivered_at=at))

    async def settle(self, command_id: int, state: str, outcome: Mapping[str, Any], at: int) -> None:
        values = {"state": state, "outcome": encode(outcome).decode(), "settled_at": at, "payload": ""}
        await self._connection.execute(update(COMMANDS).where(COMMANDS.c.id == command_id).values(values))

    async def delete(self, ids: Sequence[int]) -> None:
        await self._connection.execute(delete(COMMANDS).where(COMMANDS.c.id.in_(ids)))

    async def prune(self, settled_before: int, expired_before: int) -> None:
        old = or_(COMMANDS.c.settled_at < settled_before, COMMANDS.c.expires_at < expired_before)
        await self._connection.execute(delete(COMMANDS).where(old))

    async def _select(self, *conditions: ColumnElement[bool]) -> list[CommandRecord]:
        rows = await self._connection.execute(select(COMMANDS).where(*conditions).order_by(COMMANDS.c.id))
        return [_record(row) for row in rows]


def _record(row: Row[Any]) -> CommandRecord:
    return CommandRecord(
        id=row.id,
        kind=row.kind,
        state=row.state,
        created_at=row.created_at,
        host_id=row.host_id,
        agent_id=row.agent_id,
        body=_bodies.decode(row.payload) if row.payload else None,
        expires_at=row.expires_at,
        deadline_at=row.deadline_at,
        delivered_at=row.delivered_at,
        outcome=msgspec.json.decode(row.outcome) if row.outcome else None,
    )
