"""Opens the host's database and brings its schema up to date."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Database", "DatabaseUnusable"]

SCHEMA: tuple[str, ...] = (
    """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE agents (
        id TEXT PRIMARY KEY,
        caller TEXT NOT NULL,
        idempotency_key TEXT,
        ended_at INTEGER,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX agents_by_key ON agents (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        agent_id TEXT NOT NULL,
        report BLOB NOT NULL
    );
    CREATE TABLE commands (
        key TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        answer BLOB
    ) WITHOUT ROWID;
    """,
)
"""One script per version; `PRAGMA user_version` counts those that have run. Only ever appended to."""


class DatabaseUnusable(Exception):
    """The database cannot be used; the message says why and what to do."""


class Database:
    """One connection, used from the event loop's thread only.

    WAL with synchronous=NORMAL: a commit survives the death of this process and costs 12 µs. A power
    cut may take the last ones, but then every program is dead too, and what the agents' directories
    say (exit records are synced one by one) is put right at the next start. Only what nothing else
    remembers, that a spawn was accepted under its key, is committed `durable` (0.13 ms and more).
    """

    def __init__(self, path: str) -> None:
        """Open or create `path`. Raises `DatabaseUnusable`."""
        try:
            # Made first, because SQLite gives the log beside it, which holds the same, its file's mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            os.chmod(path, 0o600)
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            version = self._version(path)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self._migrate(version)
        except (sqlite3.Error, OSError) as error:
            raise DatabaseUnusable(
                f"cannot use the host's database {path}: {error}; "
                "check that its folder is writable and its disk not full"
            ) from error

    def _version(self, path: str) -> int:
        """Return how many scripts have run, before anything is written."""
        version = int(self.connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(SCHEMA):
            raise DatabaseUnusable(
                f"{path} was made by a newer Muster (schema {version}, this one knows {len(SCHEMA)}): "
                "upgrade with `pip install -U musterd`, or start with another MUSTER_HOME"
            )
        return version

    def _migrate(self, version: int) -> None:
        for number, script in enumerate(SCHEMA[version:], version + 1):
            self.connection.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All of the statements inside, or none; `durable` ones survive a power cut too.

        Raises `sqlite3.Error` (a full disk, say).
        """
        if self.connection.in_transaction:
            yield self.connection
            return
        if durable:
            self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            if durable:
                self.connection.execute("PRAGMA synchronous=NORMAL")

    def close(self) -> None:
        self.connection.close()
