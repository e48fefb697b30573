"""Sends the outbox to the relay, in order, until each entry is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from orchestrator.agents.registry import Registry
from orchestrator.link.errors import Retry
from orchestrator.link.session import Link
from relay.wire.orchestrators import AckClass, ReportBatch

__all__ = ["report"]

log = structlog.get_logger()

BATCH = 200
START_S = 0.05
"""A start takes a few milliseconds. To report meanwhile that it was begun would slow it down, and hold up
the report that it has come off."""


async def report(link: Link, registry: Registry, start_s: float = START_S) -> None:
    """Report until the line breaks; raises the `LinkError` that broke it.

    `committed`, `duplicate` and `rejected` settle an entry; `retry` keeps it and all after it. A new agent
    is reported together with what comes of its start, or after `start_s`.
    """
    while True:
        registry.outbox_grew.clear()
        batch = registry.outbox.first(BATCH)
        if batch and batch[-1].kind == "agent.created":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(start_s):
                    await registry.outbox_grew.wait()
            batch = registry.outbox.first(BATCH)
        if not batch:
            await registry.outbox_grew.wait()
            continue
        fence = link.fence
        reply = await link.report(
            ReportBatch(instance_id=fence.instance_id, epoch=fence.epoch, reports=batch)
        )
        settled = []
        for ack in reply.acks:
            if ack.ack is AckClass.RETRY:
                break
            if ack.ack is AckClass.REJECTED:
                log.warning("report.rejected", seq=ack.seq, why=ack.message)
            settled.append(ack.seq)
        registry.outbox.remove(settled)
        if not settled:
            raise Retry("the relay could not store a report")
        await asyncio.sleep(0)
