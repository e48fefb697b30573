"""Brings a database to this program's version, or says why that cannot be."""

from __future__ import annotations

import os

from sqlalchemy import Connection, inspect, text

from relay.core.ports import StorageUnavailable
from relay.store.engine import SqlStore
from relay.store.migrations import REVISIONS
from relay.store.tables import METADATA

__all__ = ["migrate", "prepare"]


async def prepare(store: SqlStore) -> None:
    """Create or migrate the tables.

    Raises `StorageUnavailable` if the database cannot be opened or is newer than this program.
    """
    store.probe()
    async with store.connected() as connection:
        revision = await connection.run_sync(_revision)
        if revision == REVISIONS[-1]:
            return
        if revision is None and not await connection.run_sync(_has_tables):
            await connection.run_sync(_create)
        elif revision is None or revision in REVISIONS:
            await connection.run_sync(migrate)
        else:
            raise StorageUnavailable(
                f"the database was made by a newer Muster (revision {revision}): "
                "upgrade this one (pip install -U musterd), or give another --database"
            )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table("agents")


def _create(connection: Connection) -> None:
    """Make a new database at once: what the migrations lead to, without loading Alembic."""
    METADATA.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": REVISIONS[-1]})


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the migrations that are missing, from the very first if need be, up to revision `to`."""
    from alembic import command  # noqa: PLC0415 - 0.25 s, needed only after an upgrade
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option(
        "script_location", os.path.join(os.path.dirname(__file__), "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = connection
    command.upgrade(config, to)
