"""Holds SQLite and PostgreSQL to the contract of the relay's store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import postgres_store, sqlite_store
from relay_store_contract import RelayStoreContract

from relay.core.ports import Store
from relay.store.schema import prepare


class TestSqlite(RelayStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        async with sqlite_store(tmp_path) as store:
            await prepare(store)
            yield store


@pytest.mark.needs("postgres")
class TestPostgres(RelayStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        async with postgres_store() as store:
            await prepare(store)
            yield store
