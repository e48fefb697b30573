"""A database of its own for each test: SQLite in a file, or a schema of a PostgreSQL server."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from relay.store.engine import SqlStore, database_url

__all__ = ["postgres_store", "sqlite_store"]


@asynccontextmanager
async def sqlite_store(folder: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(database_url(str(folder / "relay.db")))
    yield store
    await store.close()


@asynccontextmanager
async def postgres_store() -> AsyncIterator[SqlStore]:
    url = database_url(os.environ["MUSTER_TEST_POSTGRES"])
    schema = f"muster_test_{uuid.uuid4().hex}"
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
        store = SqlStore(url, schema=schema)
        try:
            yield store
        finally:
            await store.close()
            async with engine.begin() as connection:
                await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    finally:
        await engine.dispose()
