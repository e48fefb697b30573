"""Which of the relay's commands were taken, so that each is carried out once."""

from __future__ import annotations

from orchestrator.store.database import Database
from relay.wire.base import decode, encode, now_ms
from relay.wire.commands import CommandAck

__all__ = ["CommandLog"]

KEEP_MS = 7 * 24 * 3600 * 1000


class CommandLog:
    """`key` names a command for good: its number and when the relay made it.

    The number alone would be mistaken for an old one after the relay's database was replaced.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, key: str) -> bool:
        """Write down that `key` is being carried out; False if it was taken before."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO commands (key, at) VALUES (?, ?)", (key, now_ms())
            )
        return cursor.rowcount == 1

    def settle(self, key: str, answer: CommandAck) -> None:
        """Write down the answer to `key`."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO commands (key, at, answer) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET answer = excluded.answer",
                (key, now_ms(), encode(answer)),
            )

    def answer(self, key: str) -> CommandAck | None:
        """Return the answer given to `key`, or None."""
        row = self._database.connection.execute(
            "SELECT answer FROM commands WHERE key = ?", (key,)
        ).fetchone()
        return decode(row[0], CommandAck) if row and row[0] else None

    def taken(self, key: str) -> bool:
        row = self._database.connection.execute("SELECT 1 FROM commands WHERE key = ?", (key,)).fetchone()
        return row is not None

    def prune(self) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM commands WHERE at < ?", (now_ms() - KEEP_MS,))
