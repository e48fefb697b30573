"""The store on SQLite or PostgreSQL: connections, transactions, and errors in words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from sqlalchemy import URL, Engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from relay.core.ports import StorageFull, StorageUnavailable
from relay.store.agents import AgentTable
from relay.store.commands import CommandTable
from relay.store.events import EventTable
from relay.store.hosts import HostTable
from relay.store.sqlite import Connection
from relay.store.tokens import TokenTable

__all__ = ["SqlStore", "SqlTransaction", "database_url"]

BUSY_MS = 10_000
WRITER_LOCK = 4_850_001
"""The advisory lock of PostgreSQL that makes the writers of one database take turns."""
LOW_DISK_BYTES = 100 * 1024 * 1024


def database_url(text_: str) -> URL:
    """Return `text_` as the URL of a supported database with its asynchronous driver.

    A path is SQLite's; `postgres://` and `postgresql://` get asyncpg. Raises `ValueError`.
    """
    if "://" not in text_:
        return URL.create("sqlite+aiosqlite", database=os.path.abspath(text_))
    scheme, rest = text_.split("://", 1)
    postgresql = "postgresql+asyncpg"
    drivers = {"sqlite": "sqlite+aiosqlite", "postgres": postgresql, "postgresql": postgresql}
    scheme = drivers.get(scheme, scheme)
    if scheme not in drivers.values():
        raise ValueError(f"database {scheme}:// is not supported; use sqlite:///PATH or postgresql://…")
    try:
        url = make_url(f"{scheme}://{rest}")
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"the database URL cannot be read: {error}") from None
    if url.get_backend_name() != "sqlite":
        return url
    if url.host or url.query or not url.database or url.database == ":memory:":
        raise ValueError("a database of SQLite is a file and takes no options: use sqlite:///PATH")
    return url.set(database=os.path.abspath(url.database))


class SqlTransaction:
    """See `core.ports.Transaction`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.agents = AgentTable(connection)
        self.hosts = HostTable(connection)
        self.commands = CommandTable(connection)
        self.events = EventTable(connection)
        self.tokens = TokenTable(connection)


class SqlStore:
    """See `core.ports.Store`. `schema` is PostgreSQL's search path, for databases shared with others."""

    def __init__(self, url: URL, *, schema: str | None = None) -> None:
        self._sqlite = url.get_backend_name() == "sqlite"
        self._path = url.database if self._sqlite else None
        self._where = self._path or f"PostgreSQL at {url.host or 'its socket'}:{url.port or 5432}"
        self._turn = asyncio.Lock()
        if self._sqlite:
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1)
            self._reader = _sqlite_engine(url, "BEGIN", pool_size=4)
        else:
            options: dict[str, Any] = {"server_settings": {"search_path": schema}} if schema else {}
            self._writer = create_async_engine(url, pool_pre_ping=True, connect_args=options)
            self._reader = self._writer

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqlTransaction]:
        with _in_words(self._where):
            async with self._reader.connect() as connection:
                yield SqlTransaction(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[SqlTransaction]:
        async with self.connected() as connection:
            yield SqlTransaction(connection)

    def probe(self) -> None:
        """Raise `StorageUnavailable` if the file cannot be used at all.

        Asked before the first connection, because the thread of one that fails to open outlives it
        and writes a traceback.
        """
        if self._path is None:
            return
        with _in_words(self._where), contextlib.closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA schema_version")

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncConnection]:
        """A bare connection in a writing transaction, for making the schema."""
        async with self._turn:
            with _in_words(self._where):
                async with self._writer.begin() as connection:
                    if not self._sqlite:
                        await connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"))
                    yield connection

    async def check(self) -> tuple[str, str]:
        async with self.reading() as transaction:
            await transaction.events.head()
        if self._path is None:
            return "ok", "PostgreSQL"
        free = shutil.disk_usage(os.path.dirname(self._path)).free
        if free < LOW_DISK_BYTES:
            return "warn", f"{self._path}: only {free >> 20} MiB left on its disk; make room"
        return "ok", f"{self._path}, {free >> 20} MiB free"

    async def scrub(self) -> None:
        if not self._sqlite:
            return
        with _in_words(self._where):
            async with self._reader.connect() as connection:
                raw = await connection.get_raw_connection()
                cursor = await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
                busy = (await cursor.fetchone())[0]
                await cursor.close()
        if busy:
            raise StorageUnavailable("a reader kept the log from being emptied; it will be tried again")

    async def close(self) -> None:
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _sqlite_engine(url: URL, begin: str, *, pool_size: int) -> AsyncEngine:
    async def connect() -> aiosqlite.Connection:
        return await Connection(lambda: _opened(str(url.database)))

    engine = create_async_engine(
        url, async_creator=connect, pool_size=pool_size, max_overflow=0, pool_timeout=60
    )

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.connection.driver_connection.opening = begin

    assert isinstance(engine.sync_engine, Engine)
    return engine


def _opened(path: str) -> sqlite3.Connection:
    # Not by sqlite3 itself, which would begin too late, and never IMMEDIATE.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


class _in_words:
    """Turns the driver's errors into those of the port."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, (SQLAlchemyError, OSError, sqlite3.Error)):
            return
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        reason = f"{self._where}: {cause}"
        code = getattr(cause, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100":
            raise StorageFull(f"{reason}; make room on its disk") from error
        if isinstance(cause, OSError):  # SQLite's are its own
            reason += "; is the server running, and the URL (--database) right?"
        raise StorageUnavailable(reason) from error
