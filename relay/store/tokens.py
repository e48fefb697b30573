"""Tokens in the database: hashes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.core.records import TokenRecord
from relay.store.statements import upsert
from relay.store.tables import TOKENS
from relay.wire.health import Scope

__all__ = ["TokenTable"]


class TokenTable:
    """See `core.ports.Tokens`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[TokenRecord]:
        rows = await self._connection.execute(select(TOKENS).order_by(TOKENS.c.created_at, TOKENS.c.name))
        return [
            TokenRecord(
                name=row.name,
                hash=row.hash,
                scope=Scope(row.scope),
                created_at=row.created_at,
                bound_to=row.bound_to,
                label=row.label,
                expires_at=row.expires_at,
                last_used_at=row.last_used_at,
            )
            for row in rows
        ]

    async def put(self, record: TokenRecord) -> None:
        await upsert(self._connection, TOKENS, [{**asdict(record), "scope": record.scope.value}])

    async def used(self, times: Mapping[str, int]) -> None:
        if not times:
            return
        statement = update(TOKENS).where(TOKENS.c.name == bindparam("of_token"))
        rows = [{"of_token": name, "seen": at} for name, at in times.items()]
        await self._connection.execute(statement.values(last_used_at=bindparam("seen")), rows)

    async def delete(self, names: Iterable[str]) -> None:
        chosen = list(names)
        for start in range(0, len(chosen), 500):
            await self._connection.execute(
                delete(TOKENS).where(TOKENS.c.name.in_(chosen[start : start + 500]))
            )
