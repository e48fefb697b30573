"""The one statement that SQLite and PostgreSQL have but SQL's standard has not."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["upsert"]


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    kept: tuple[str, ...] = (),
) -> None:
    """Insert `rows` into `table` or replace those of the same primary key, but for columns `kept`."""
    if rows:
        statement = _statement(connection.dialect.name, table, kept)
        await connection.execute(statement, [dict(row) for row in rows])


@lru_cache
def _statement(dialect: str, table: Table, kept: tuple[str, ...]) -> Executable:
    """Built once for each use: building it costs as much as running it."""
    keys = [column.name for column in table.primary_key]
    statement: Any = _insert(dialect)(table)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in kept
    }
    found: Executable = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return found


def _insert(dialect: str) -> Any:
    """The dialect's own INSERT; importing the one that is not used would take 20 ms."""
    return importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert
