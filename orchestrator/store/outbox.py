"""Reports that the relay has not acknowledged yet, in the order in which things happened."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orchestrator.store.database import Database
from relay.wire.orchestrators import Report

__all__ = ["Outbox"]


class Outbox:
    """A durable queue. Entries keep the time at which the host saw the event."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Report).decode

    def add(self, report: Report) -> int:
        """Append `report` and return the sequence number it was given; numbers are never reused."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO outbox (agent_id, report) VALUES (?, ?)", (report.agent.id, self._encode(report))
            )
        return int(cursor.lastrowid or 0)

    def first(self, limit: int) -> list[Report]:
        """Return the oldest entries."""
        rows = self._database.connection.execute(
            "SELECT seq, report FROM outbox ORDER BY seq LIMIT ?", (limit,)
        )
        return [msgspec.structs.replace(self._decode(data), seq=seq) for seq, data in rows]

    def remove(self, sequence_numbers: Iterable[int]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in sequence_numbers])

    def trim(self, keep: int) -> None:
        """Drop all but the newest `keep`: where no relay ever comes, the queue must not grow for ever.

        A relay that does come misses those events, and learns how things stand from the roster.
        """
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE seq <= (SELECT max(seq) FROM outbox) - ?", (keep,))

    def __len__(self) -> int:
        return int(self._database.connection.execute("SELECT count(*) FROM outbox").fetchone()[0])
