"""The command queues in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, insert, or_, select, update
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

# Built once, for that takes ten times as long as to run one.
_ADD = insert(COMMANDS)
_ALL = select(COMMANDS).order_by(COMMANDS.c.id)
_BY_ID = _ALL.where(COMMANDS.c.id == bindparam("id"))
_PENDING = _ALL.where(COMMANDS.c.state == CommandState.PENDING)
_OF_HOST = _PENDING.where(COMMANDS.c.host_id == bindparam("host"), COMMANDS.c.id > bindparam("after"))
_OF_AGENT = _PENDING.where(COMMANDS.c.agent_id == bindparam("agent"))
_UNPLACED = _ALL.where(_WAITING, COMMANDS.c.host_id.is_(None))
_OVERDUE = _ALL.where(_WAITING, COMMANDS.c.deadline_at <= bindparam("at"))
_NEXT_DEADLINE = select(func.min(COMMANDS.c.deadline_at)).where(_WAITING)
_DELIVER = update(COMMANDS).where(
    COMMANDS.c.id.in_(bindparam("ids", expanding=True)), COMMANDS.c.delivered_at.is_(None)
)
_DELIVER = _DELIVER.values(delivered_at=bindparam("at"))
_SETTLE = update(COMMANDS).where(COMMANDS.c.id == bindparam("of_command"))
_SETTLE = _SETTLE.values(
    state=bindparam("to"), outcome=bindparam("answer"), settled_at=bindparam("at"), payload=""
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
            "delivered_at": command.delivered_at,
        }
        result = await self._connection.execute(_ADD, values)
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])

    async def get(self, command_id: int) -> CommandRecord | None:
        found = await self._records(_BY_ID, id=command_id)
        return found[0] if found else None

    async def pending(self, host_id: str, after: int) -> list[CommandRecord]:
        return await self._records(_OF_HOST, host=host_id, after=after)

    async def of_agent(self, agent_id: str) -> list[CommandRecord]:
        return await self._records(_OF_AGENT, agent=agent_id)

    async def unplaced(self) -> list[CommandRecord]:
        return await self._records(_UNPLACED)

    async def overdue(self, at: int) -> list[CommandRecord]:
        return await self._records(_OVERDUE, at=at)

    async def next_deadline(self) -> int | None:
        value = await self._connection.scalar(_NEXT_DEADLINE)
        return None if value is None else int(value)

    async def mark_delivered(self, ids: Sequence[int], at: int) -> None:
        await self._connection.execute(_DELIVER, {"ids": list(ids), "at": at})

    async def settle(self, command_id: int, state: str, outcome: Mapping[str, Any], at: int) -> None:
        answer = encode(outcome).decode()
        await self._connection.execute(
            _SETTLE, {"of_command": command_id, "to": state, "answer": answer, "at": at}
        )

    async def delete(self, ids: Sequence[int]) -> None:
        await self._connection.execute(delete(COMMANDS).where(COMMANDS.c.id.in_(ids)))

    async def prune(self, settled_before: int, expired_before: int) -> None:
        old = or_(COMMANDS.c.settled_at < settled_before, COMMANDS.c.expires_at < expired_before)
        await self._connection.execute(delete(COMMANDS).where(old))

    async def _records(self, statement: Select[Any], **values: Any) -> list[CommandRecord]:
        rows = await self._connection.execute(statement, values)
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
