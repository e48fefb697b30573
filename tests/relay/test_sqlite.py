"""What SQLite's connections promise beyond the contract of the store."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import sqlite_store

from relay.core.ports import Store
from relay.store.schema import prepare
from relay.store.sqlite import Connection


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with sqlite_store(tmp_path) as store:
        await prepare(store)
        yield store


def can_be_written(folder: Path) -> bool:
    with contextlib.closing(sqlite3.connect(folder / "relay.db", timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def test_a_change_keeps_others_from_writing_from_its_first_look_on(
    store: Store, tmp_path: Path
) -> None:
    async with store.reading() as transaction:
        await transaction.events.head()
        assert can_be_written(tmp_path)

    async with store.writing() as transaction:
        await transaction.events.head()
        assert not can_be_written(tmp_path)

    assert can_be_written(tmp_path)


async def test_nothing_is_done_outside_of_what_could_not_be_begun(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN IMMEDIATE")
    async with Connection(
        lambda: sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    ) as connection:
        connection.opening = "BEGIN IMMEDIATE"
        cursor = await connection.cursor()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await cursor.execute("SELECT 1")
        other.execute("ROLLBACK")
        await cursor.execute("INSERT INTO t VALUES (1)")
        await connection.rollback()
    with contextlib.closing(other):
        assert other.execute("SELECT a FROM t").fetchall() == []


def test_a_connection_that_was_never_closed_lets_the_process_end(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from relay.store.engine import SqlStore, database_url
from relay.store.schema import prepare
asyncio.run(prepare(SqlStore(database_url(sys.argv[1]))))
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "relay.db")], check=True, timeout=30
    )
