"""The database's version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import postgres_store, sqlite_store
from scripted_host import agent
from sqlalchemy import Connection, text

import relay.store.migrations
from relay.core.ports import StorageUnavailable
from relay.store.engine import SqlStore, database_url
from relay.store.migrations import REVISIONS
from relay.store.schema import migrate, prepare
from relay.store.tables import METADATA
from relay.wire.base import encode


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with sqlite_store(tmp_path) if request.param == "sqlite" else postgres_store() as store:
        yield store


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def definitions(connection: Connection) -> list[str]:
    rows = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return sorted("".join(row[0].replace('"', "").split()) for row in rows)


async def test_the_migrations_lead_to_the_tables(store: SqlStore) -> None:
    async with store.connected() as connection:
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []


async def test_a_new_database_is_what_the_migrations_lead_to(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        store = SqlStore(database_url(str(tmp_path / name)))
        if name == "a":
            await prepare(store)
        async with store.connected() as connection:
            if name == "b":
                await connection.run_sync(migrate)
            found.append(await connection.run_sync(definitions))
        await store.close()
    assert found[0] == found[1]


async def test_an_upgrade_keeps_what_is_there(store: SqlStore) -> None:
    """From the first version, of whose tables no code is left."""
    async with store.connected() as connection:
        await connection.run_sync(lambda sync: migrate(sync, "0001"))
        await connection.execute(
            text(
                "INSERT INTO agents (id, status, provider, tags, confirmed, stored_at, body)"
                " VALUES (:id, 'running', 'claude', '', :yes, 1, :body)"
            ),
            {"id": "ag-1", "yes": True, "body": encode(agent("ag-1", label="kept")).decode()},
        )
    await prepare(store)

    async with store.reading() as transaction:
        found = await transaction.agents.get("ag-1")
        assert found is not None
        assert found.agent.label == "kept"
        assert await transaction.agents.asking(pending=False) == []


async def test_preparing_twice_changes_nothing(store: SqlStore) -> None:
    await prepare(store)
    await prepare(store)
    async with store.connected() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == REVISIONS[-1]


async def test_a_newer_database_is_refused_untouched(store: SqlStore) -> None:
    await prepare(store)
    async with store.connected() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match=r"made by a newer Muster \(revision 9999\): upgrade"):
        await prepare(store)


def test_the_listed_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(relay.store.migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == REVISIONS


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:////x/relay.db", "sqlite+aiosqlite"),
        ("/x/relay.db", "sqlite+aiosqlite"),
        ("postgres://u@h/d", "postgresql+asyncpg"),
        ("postgresql://u@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg"),
    ],
)
def test_database_urls(given: str, driver: str) -> None:
    assert database_url(given).drivername == driver


@pytest.mark.parametrize("given", ["relay.db", "sqlite:///relay.db", "sqlite:///./relay.db"])
def test_a_file_is_meant_from_here_on_wherever_the_relay_goes(given: str) -> None:
    assert database_url(given).database == str(Path.cwd() / "relay.db")


@pytest.mark.parametrize(
    "given",
    ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "sqlite://relay.db", "sqlite:////x.db?mode=ro"],
)
def test_an_unsupported_database_says_what_is(given: str) -> None:
    with pytest.raises(ValueError, match="use sqlite"):
        database_url(given)
