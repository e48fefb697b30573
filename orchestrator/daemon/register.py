"""Registers the host and keeps its loops going for as long as the registration holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog

from orchestrator.agents.registry import Registry
from orchestrator.daemon.connection import Connection, backoff_s
from orchestrator.link.errors import Fenced, LinkError, Refused
from orchestrator.link.session import Link
from relay.wire.base import now_ms
from relay.wire.client import AsyncClient
from relay.wire.orchestrators import Registration, Roster

__all__ = ["stay_registered"]

log = structlog.get_logger()

FENCED_WAIT_S = 30.0
NOWHERE_WAIT_S = 0.5
"""How often to look for the embedded relay's record while there is none."""

Loop = Callable[[Link], Coroutine[Any, Any, None]]


async def stay_registered(
    connection: Connection,
    registry: Registry,
    describe: Callable[[], Awaitable[Registration]],
    loops: Sequence[Loop],
) -> None:
    """Register, run `loops`, and begin again whenever one of them ends or fails. Never returns."""
    attempt = 0
    while True:
        address = connection.locate()
        if address is None:
            connection.url, connection.problem = None, "no relay is configured and none runs here"
            await asyncio.sleep(NOWHERE_WAIT_S)
            continue
        link = Link(AsyncClient(address.url, token=address.token), connection.host_id)
        connection.url = address.url
        try:
            await _register(connection, registry, await describe(), link)
            attempt = 0
            await _run(loops, link)
        except LinkError as error:
            attempt += 1
            final = isinstance(error, Fenced | Refused)
            wait_s = FENCED_WAIT_S if final else backoff_s(attempt)
            if connection.problem != str(error):  # the same again would only fill the log
                say = log.error if final else log.warning
                say("relay.refused" if final else "relay.away", url=address.url, why=str(error))
            connection.problem = str(error)
            await asyncio.sleep(wait_s)
        finally:
            await link.close()


async def _register(
    connection: Connection, registry: Registry, registration: Registration, link: Link
) -> None:
    sent = now_ms()
    reply = await link.register(registration)
    connection.take_over = False
    connection.skew_ms = (sent + now_ms()) // 2 - (reply.server_time or now_ms())
    connection.interval_s = reply.heartbeat_interval_ms / 1000
    fence, taken_at = link.fence, now_ms()
    agents = [record.agent for record in registry]
    await link.roster(
        Roster(instance_id=fence.instance_id, epoch=fence.epoch, agents=agents, taken_at=taken_at)
    )
    connection.problem = None
    connection.registrations += 1
    log.info("relay.registered", url=link.url, epoch=reply.epoch, agents=len(agents))


async def _run(loops: Sequence[Loop], link: Link) -> None:
    """Run all loops until the first of them fails; raise that one's `LinkError`."""
    tasks = [asyncio.create_task(loop(link)) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
