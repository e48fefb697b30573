"""What goes to the relay together, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.daemon.report import report
from orchestrator.link.session import Link
from orchestrator.store.database import Database
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.orchestrators import AckClass, Fence, ReportAck, ReportBatch, ReportReply

AGENT = "ag-000000000001"


class Relay:
    """The far end of a link: takes all that is reported."""

    def __init__(self) -> None:
        self.fence = Fence(instance_id="i", epoch=1)
        self.batches: asyncio.Queue[list[Status]] = asyncio.Queue()

    async def report(self, batch: ReportBatch) -> ReportReply:
        self.batches.put_nowait([report.agent.status for report in batch.reports])
        return ReportReply(acks=[ReportAck(seq=r.seq, ack=AckClass.COMMITTED) for r in batch.reports])


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(Database(str(tmp_path / "host.db")), "h")
    starting = ManagedAgent(id=AGENT, status=Status.STARTING, provider="x", mode=Mode.HEADLESS, created_at=1)
    registry.create(AgentRecord(agent=starting, directory=str(tmp_path)))
    return registry


@asynccontextmanager
async def reporting(registry: Registry, start_s: float) -> AsyncIterator[asyncio.Queue[list[Status]]]:
    relay = Relay()
    task = asyncio.create_task(report(cast(Link, relay), registry, start_s))
    try:
        async with asyncio.timeout(10):
            yield relay.batches
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_start_is_reported_at_once_when_it_has_come_off(registry: Registry) -> None:
    async with reporting(registry, start_s=3600) as batches:
        await asyncio.sleep(0)  # it has seen the first report
        registry.change(AGENT, "agent.changed", status=Status.RUNNING)
        assert await batches.get() == [Status.STARTING, Status.RUNNING]


async def test_a_start_that_takes_its_time_is_reported_before_it_has_come_off(registry: Registry) -> None:
    async with reporting(registry, start_s=0.01) as batches:
        assert await batches.get() == [Status.STARTING]
        registry.change(AGENT, "agent.changed", status=Status.RUNNING)
        assert await batches.get() == [Status.RUNNING]


async def test_it_does_not_wait_for_a_start_that_has_come_off(registry: Registry) -> None:
    registry.change(AGENT, "agent.changed", status=Status.RUNNING)
    async with reporting(registry, start_s=3600) as batches:
        assert await batches.get() == [Status.STARTING, Status.RUNNING]
