"""SQLite's connections: those of aiosqlite, but a statement costs one visit to the connection's thread.

aiosqlite itself goes there for the cursor, the statement, its rows and the cursor's end, and SQLAlchemy
once more for BEGIN. A visit takes longer than most of these statements do.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite
from aiosqlite.context import contextmanager

__all__ = ["Connection", "Cursor"]


class Cursor:
    """What SQLAlchemy asks of a cursor of aiosqlite; all rows are there once a statement was executed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.arraysize = 1
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        await self._connection.visit(lambda cursor: self._take(cursor.execute(sql, parameters)))

    async def executemany(self, sql: str, parameters: Any) -> None:
        await self._connection.visit(lambda cursor: self._take(cursor.executemany(sql, parameters)))

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self.description, self._rows = cursor.description, cursor.fetchall()
        self.lastrowid, self.rowcount = cursor.lastrowid, cursor.rowcount


class Connection(aiosqlite.Connection):
    """`opening` is executed ahead of the next statement and with it: BEGIN, say."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, iter_chunk_size=1)
        self._thread.daemon = True  # one that was never closed must not hold up the end of the process
        self.opening = ""

    @contextmanager
    async def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    async def visit(self, work: Callable[[sqlite3.Cursor], None]) -> None:
        """Have `work` done with a cursor in the connection's thread."""
        await self._execute(self._visited, work)  # type: ignore[no-untyped-call]

    def _visited(self, work: Callable[[sqlite3.Cursor], None]) -> None:
        with contextlib.closing(self._conn.cursor()) as cursor:
            if self.opening:
                cursor.execute(self.opening)
                self.opening = ""
            work(cursor)
