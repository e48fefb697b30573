"""Agent records on disk."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrator.agents.record import AgentRecord
from orchestrator.store.database import Database

__all__ = ["AgentTable"]


class AgentTable:
    """Records by id; a caller's idempotency key names at most one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(AgentRecord).decode

    def load(self) -> Iterator[AgentRecord]:
        """Yield every record."""
        for (data,) in self._database.connection.execute("SELECT record FROM agents"):
            yield self._decode(data)

    def save(self, record: AgentRecord) -> None:
        """Insert or replace. Raises `sqlite3.IntegrityError` if the key belongs to another agent."""
        agent = record.agent
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO agents (id, caller, idempotency_key, ended_at, record) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, record = excluded.record",
                (agent.id, record.caller, agent.idempotency_key, agent.ended_at, self._encode(record)),
            )

    def delete(self, agent_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM agents WHERE id = ?", (agent_id,))
