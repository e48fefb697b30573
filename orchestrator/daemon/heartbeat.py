"""Renews the host's lease at the interval that the relay dictates."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from orchestrator.daemon.connection import Connection
from orchestrator.link.errors import Retry
from orchestrator.link.session import Link
from relay.wire.orchestrators import Fence, Heartbeat, HeartbeatReply

__all__ = ["beat"]

JITTER = 0.1
"""Share of the interval by which each beat may come early, so that hosts do not beat in step."""

RETRY_S = 1.0
TRIES = 3


async def beat(
    link: Link,
    connection: Connection,
    describe: Callable[[Fence, int], Heartbeat],
) -> None:
    """Beat until the registration ends; raises the `LinkError` that ended it.

    `describe` makes the heartbeat of a registration, with the last round trip in ms.

    A beat that nobody answers is tried again at once, three times, before the line counts as dead.
    """
    rtt_ms = 0
    while True:
        await asyncio.sleep(connection.interval_s * (1 - JITTER * random.random()))  # noqa: S311
        heartbeat = describe(link.fence, rtt_ms)
        began = time.monotonic()
        reply = await _send(link, heartbeat)
        rtt_ms = int((time.monotonic() - began) * 1000)
        connection.interval_s = reply.heartbeat_interval_ms / 1000
        connection.skew_ms = reply.clock_skew_ms
        if reply.roster_wanted:
            raise Retry("the relay asks for the whole roster again")


async def _send(link: Link, heartbeat: Heartbeat) -> HeartbeatReply:
    for _ in range(TRIES - 1):
        try:
            return await link.heartbeat(heartbeat)
        except Retry:
            await asyncio.sleep(RETRY_S)
    return await link.heartbeat(heartbeat)
