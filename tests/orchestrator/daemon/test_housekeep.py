"""What is left of ended agents goes by age and size; what runs is never touched."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from orchestrator.agents.record import AgentRecord, new_agent_id
from orchestrator.agents.registry import Registry
from orchestrator.config import Keep
from orchestrator.daemon.housekeep import sweep
from orchestrator.store.database import Database
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.base import now_ms
from spawners.client import KeeperSpawner

HOUR = 3_600_000


@pytest.fixture
def spawner(tmp_path: Path) -> KeeperSpawner:
    return KeeperSpawner(str(tmp_path / "agents"), str(tmp_path / "s"), str(tmp_path / "cache"))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(Database(str(tmp_path / "host.db")), "h")


def ended(registry: Registry, spawner: KeeperSpawner, *, hours_ago: float, size: int = 1000) -> str:
    """An agent that ended so long ago and left so much output."""
    agent_id = new_agent_id()
    ref = spawner.ref(agent_id)
    os.makedirs(ref.directory)
    Path(ref.directory, "spool.0").write_bytes(b"x" * size)
    agent = ManagedAgent(
        id=agent_id, status=Status.RUNNING, provider="command", mode=Mode.HEADLESS, created_at=1
    )
    registry.create(AgentRecord(agent=agent, directory=ref.directory))
    at = now_ms() - int(hours_ago * HOUR)
    registry.change(agent_id, "agent.ended", status=Status.SUCCEEDED, ended_at=at)
    return agent_id


def left(registry: Registry, spawner: KeeperSpawner, agent_id: str) -> tuple[bool, bool]:
    """(is there a record, is there output)"""
    return registry.get(agent_id) is not None, Path(spawner.ref(agent_id).directory).exists()


async def test_output_goes_after_hours_and_records_after_days(
    registry: Registry, spawner: KeeperSpawner
) -> None:
    fresh = ended(registry, spawner, hours_ago=1)
    day = ended(registry, spawner, hours_ago=25)
    week = ended(registry, spawner, hours_ago=24 * 7 + 1)
    await sweep(registry, spawner, Keep(), str)
    assert left(registry, spawner, fresh) == (True, True)
    assert left(registry, spawner, day) == (True, False)
    assert left(registry, spawner, week) == (False, False)
    pruned = registry.get(day)
    assert pruned is not None
    assert pruned.spool_pruned


async def test_too_much_output_goes_oldest_first(registry: Registry, spawner: KeeperSpawner) -> None:
    agents = [ended(registry, spawner, hours_ago=hours, size=400) for hours in (3, 1, 2)]
    await sweep(registry, spawner, Keep(spools_bytes=1000), str)
    assert [left(registry, spawner, agent)[1] for agent in agents] == [False, True, True]
    assert all(left(registry, spawner, agent)[0] for agent in agents)


async def test_a_running_agent_is_never_touched(registry: Registry, spawner: KeeperSpawner) -> None:
    agent_id = ended(registry, spawner, hours_ago=0)
    record = registry.get(agent_id)
    assert record is not None
    running = msgspec.structs.replace(
        record.agent, id="ag-00000000000a", status=Status.RUNNING, ended_at=None
    )
    registry.create(msgspec.structs.replace(record, agent=running))
    await sweep(registry, spawner, Keep(records_days=0, spools_hours=0, spools_bytes=0), str)
    assert registry.get("ag-00000000000a") is not None


async def test_settings_are_obeyed(registry: Registry, spawner: KeeperSpawner) -> None:
    agent_id = ended(registry, spawner, hours_ago=2)
    await sweep(registry, spawner, Keep(spools_hours=3), str)
    assert left(registry, spawner, agent_id) == (True, True)
    await sweep(registry, spawner, Keep(spools_hours=1), str)
    assert left(registry, spawner, agent_id) == (True, False)
