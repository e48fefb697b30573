"""The one writer: guarded, durable, announced."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestrator.agents.record import AgentRecord, new_agent_id
from orchestrator.agents.registry import EVENTS_KEPT, Registry
from orchestrator.agents.state import InvalidStep
from orchestrator.store.database import Database
from relay.wire.agents import ENDED, ManagedAgent, Mode, Status
from relay.wire.errors import ApiError, Code


def record(key: str | None = None, label: str | None = None, caller: str = "local") -> AgentRecord:
    agent = ManagedAgent(
        id=new_agent_id(), status=Status.STARTING, provider="command", mode=Mode.HEADLESS, created_at=5,
        idempotency_key=key, label=label,
    )  # fmt: skip
    return AgentRecord(agent=agent, directory=f"/nowhere/{agent.id}", caller=caller)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(str(tmp_path / "host.db"))


@pytest.fixture
def registry(database: Database) -> Registry:
    return Registry(database, "here")


def test_records_outlive_the_daemon(database: Database, registry: Registry) -> None:
    made = registry.create(record(key="k"))
    registry.change(made.id, "agent.changed", status=Status.RUNNING, pid=7)

    again = Registry(database, "here")

    found = again.get(made.id)
    assert found is not None
    assert (found.agent.status, found.agent.pid, found.agent.orchestrator_id) == (Status.RUNNING, 7, "here")
    assert again.by_key("local", "k") == found
    assert [active.id for active in again.active] == [made.id]


def test_a_key_belongs_to_its_caller(registry: Registry) -> None:
    registry.create(record(key="k", caller="ana"))
    registry.create(record(key="k", caller="ben"))
    with pytest.raises(ApiError) as refused:
        registry.create(record(key="k", caller="ana"))
    assert refused.value.code is Code.CONFLICT


def test_an_ended_agent_stays_as_it_ended(registry: Registry) -> None:
    made = registry.create(record())
    registry.change(made.id, "agent.ended", status=Status.CANCELLED)
    with pytest.raises(InvalidStep):
        registry.change(made.id, "agent.ended", status=Status.SUCCEEDED)
    found = registry.get(made.id)
    assert found is not None
    assert found.agent.status is Status.CANCELLED


def test_every_change_is_in_the_outbox_with_its_own_time(registry: Registry) -> None:
    made = registry.create(record())
    registry.change(made.id, "agent.changed", at=111, status=Status.RUNNING)
    registry.change(made.id, "agent.ended", at=222, status=Status.FAILED)
    reports = registry.outbox.first(10)
    assert [(report.kind, report.agent.status) for report in reports] == [
        ("agent.created", Status.STARTING), ("agent.changed", Status.RUNNING), ("agent.ended", Status.FAILED),
    ]  # fmt: skip
    assert [report.at for report in reports[1:]] == [111, 222]
    assert [report.seq for report in reports] == sorted({report.seq for report in reports})


def test_outbox_numbers_are_never_used_twice(database: Database, registry: Registry) -> None:
    registry.create(record())
    first = registry.outbox.first(10)[0].seq
    registry.outbox.remove([first])
    again = Registry(database, "here")
    again.create(record())
    assert again.outbox.first(10)[0].seq > first


def test_what_cannot_be_written_down_has_not_happened(database: Database, registry: Registry) -> None:
    made = registry.create(record())
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ApiError) as refused:
        for number in range(1000):
            registry.change(made.id, "agent.changed", result=str(number) * 2000)
    assert refused.value.code is Code.STORAGE_FULL
    found = Registry(database, "here").get(made.id)
    assert found == registry.get(made.id)


def test_finding_by_prefix_and_label(registry: Registry) -> None:
    made = registry.create(record(label="api"))
    assert registry.find("api").id == made.id
    assert registry.find(made.id[:9]).id == made.id
    assert registry.find(made.id[3:9]).id == made.id
    with pytest.raises(ApiError, match="muster ps --all"):
        registry.find("nothing")
    registry.create(record(label="api"))
    with pytest.raises(ApiError) as refused:
        registry.find("api")
    assert refused.value.code is Code.AMBIGUOUS
    assert len(refused.value.details["candidates"]) == 2


async def test_until_wakes_on_the_change_and_not_by_polling(registry: Registry) -> None:
    made = registry.create(record())
    waiting = asyncio.create_task(registry.until(made.id, ENDED, 30))
    await asyncio.sleep(0)
    registry.change(made.id, "agent.changed", status=Status.RUNNING)
    await asyncio.sleep(0)
    assert not waiting.done()
    registry.change(made.id, "agent.ended", status=Status.FAILED)
    assert (await waiting).agent.status is Status.FAILED


async def test_until_answers_as_it_is_when_time_is_up(registry: Registry) -> None:
    made = registry.create(record())
    assert (await registry.until(made.id, ENDED, 0.01)).agent.status is Status.STARTING


async def test_events_resume_and_say_what_is_missing(registry: Registry) -> None:
    made = registry.create(record())
    first = await anext(registry.events(0))
    assert first.type == "log.gap"
    source = registry.events(0)
    await anext(source)
    created = await anext(source)
    registry.change(made.id, "agent.changed", status=Status.RUNNING)
    resumed = registry.events(created.id)
    assert (await anext(resumed)).data["status"] == "running"


async def test_a_reader_that_sleeps_loses_events_and_is_told(registry: Registry) -> None:
    made = registry.create(record())
    with registry.watch() as queue:
        for number in range(EVENTS_KEPT + 5):
            registry.note(made.id, caller="local")
            registry._announce("agent.changed", made.agent, number)
        assert queue.qsize() <= EVENTS_KEPT
        assert queue.get_nowait().type == "log.gap"


def test_a_running_agent_is_not_forgotten(registry: Registry) -> None:
    made = registry.create(record(key="k"))
    with pytest.raises(ApiError, match="stop it first"):
        registry.forget(made.id)
    registry.change(made.id, "agent.ended", status=Status.FAILED)
    registry.forget(made.id)
    assert registry.get(made.id) is None
    assert registry.by_key("local", "k") is None


def test_the_outbox_is_bounded_where_no_relay_ever_comes(registry: Registry) -> None:
    for _ in range(10):
        registry.create(record())
    newest = registry.outbox.first(10)[-3:]
    registry.outbox.trim(3)
    assert registry.outbox.first(10) == newest
