"""Hosts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.core.records import HostRecord
from relay.store.statements import upsert
from relay.store.tables import HOSTS
from relay.wire.base import decode, encode
from relay.wire.orchestrators import Load, Registration

__all__ = ["HostTable"]

# Built once, for that takes ten times as long as to run one.
_LAST_SEQ = select(HOSTS.c.last_seq).where(HOSTS.c.id == bindparam("host"))
_SET_LAST_SEQ = update(HOSTS).where(HOSTS.c.id == bindparam("host")).values(last_seq=bindparam("seq"))


class HostTable:
    """See `core.ports.Hosts`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[HostRecord]:
        rows = await self._connection.execute(select(HOSTS).order_by(HOSTS.c.id))
        return [_record(row) for row in rows]

    async def put(self, record: HostRecord) -> None:
        await upsert(self._connection, HOSTS, [_row(record)], kept=("last_seq",))

    async def beats(self, records: Sequence[HostRecord]) -> None:
        if not records:
            return
        statement = (
            update(HOSTS)
            .where(HOSTS.c.id == bindparam("of_host"))
            .values(last_seen=bindparam("seen"), skew_ms=bindparam("skew"), load=bindparam("loaded"))
        )
        beats = [
            {
                "of_host": record.id,
                "seen": record.last_seen,
                "skew": record.skew_ms,
                "loaded": encode(record.load).decode(),
            }
            for record in records
        ]
        await self._connection.execute(statement, beats)

    async def last_seq(self, host_id: str) -> int:
        return await self._connection.scalar(_LAST_SEQ, {"host": host_id}) or 0

    async def set_last_seq(self, host_id: str, seq: int) -> None:
        await self._connection.execute(_SET_LAST_SEQ, {"host": host_id, "seq": seq})

    async def delete(self, host_id: str) -> None:
        await self._connection.execute(delete(HOSTS).where(HOSTS.c.id == host_id))


def _record(row: Row[Any]) -> HostRecord:
    return HostRecord(
        facts=decode(row.facts.encode(), Registration),
        epoch=row.epoch,
        online=row.online,
        draining=row.draining,
        changed_at=row.changed_at,
        last_seen=row.last_seen,
        created_at=row.created_at,
        last_seq=row.last_seq,
        skew_ms=row.skew_ms,
        load=decode(row.load.encode(), Load),
    )


def _row(record: HostRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "epoch": record.epoch,
        "online": record.online,
        "draining": record.draining,
        "changed_at": record.changed_at,
        "last_seen": record.last_seen,
        "created_at": record.created_at,
        "last_seq": record.last_seq,
        "skew_ms": record.skew_ms,
        "load": encode(record.load).decode(),
        "facts": encode(record.facts).decode(),
    }
