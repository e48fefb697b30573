"""One run of the daemon: takes the lock, recovers, runs the loops, lets go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator

import structlog
from filelock import FileLock, Timeout

from orchestrator.commands.reach import Reach
from orchestrator.commands.stop import stop
from orchestrator.daemon.parts import Ending, Options, Parts
from relay.wire.agents import ENDED
from relay.wire.ending import when_asked_to_end
from relay.wire.private import remove_file
from relay.wire.steering import StopRequest
from spawners._os import listen

__all__ = ["AlreadyRunning", "Options", "run"]

log = structlog.get_logger()

LOCK_WAIT_S = 3.0
"""A daemon that has just been killed may take a moment to let go of its lock."""

STOP_ALL_S = 30.0


class AlreadyRunning(Exception):
    """Another daemon holds this state directory."""


async def run(options: Options) -> bool:
    """Run the daemon until it is told to end; return whether it is to be started again.

    Every agent goes on running, unless a shutdown asked for them to be stopped. Raises
    `AlreadyRunning`, and `DatabaseUnusable` or `OSError` if the state directory cannot be used.
    """
    home = options.home
    home.prepare()
    lock = FileLock(home.host_lock, mode=0o600, thread_local=False)
    try:
        await asyncio.to_thread(lock.acquire, timeout=LOCK_WAIT_S)
    except Timeout:
        record = home.read_record(home.host_record) or {}
        raise AlreadyRunning(
            f"a daemon is already running for {home.state} (pid {record.get('pid', 'unknown')})"
        ) from None
    try:
        async with _daemon(options) as ending:
            await ending.asked.wait()
        return ending.restart
    finally:
        with contextlib.suppress(OSError):
            remove_file(home.host_record)
        lock.release()


@contextlib.asynccontextmanager
async def _daemon(options: Options) -> AsyncIterator[Ending]:
    """Everything between taking the lock and giving it back."""
    home, ending = options.home, Ending()
    parts = Parts(options, ending)
    found = await parts.recover()
    log.info("daemon.recovered", running=found.running, ended=found.ended, lost=found.lost)
    tasks = [asyncio.create_task(work, name=name) for name, work in parts.loops().items()]
    for task in tasks:
        task.add_done_callback(_tell_of_failure)
    listen({"SIGTERM": ending.asked.set, "SIGINT": ending.asked.set})
    loop = asyncio.get_running_loop()
    when_asked_to_end(lambda: loop.call_soon_threadsafe(ending.asked.set))
    server = parts.server
    try:
        async with server:
            home.write_private(home.host_record, json.dumps({"pid": os.getpid(), **server.address}))
            log.info("daemon.ready", host=parts.config.host_id, pid=os.getpid(), **server.address)
            yield ending
            if ending.stop_agents:
                await _stop_all(parts.reach)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = parts.registry.active_count
        await parts.close()
        log.info("daemon.ended", agents_left_running=left)


def _tell_of_failure(loop: asyncio.Task[None]) -> None:
    """No loop ends by itself: without a word, nobody would know why what it does is not done any more."""
    if not loop.cancelled() and (error := loop.exception()) is not None:
        log.critical("daemon.loop_failed", loop=loop.get_name(), exc_info=error)


async def _stop_all(reach: Reach) -> None:
    """Stop every agent and wait until all have ended, 30 s at most."""
    active = reach.registry.active
    for record in active:
        await stop(reach, record.id, StopRequest(grace_ms=5000), "muster down")
    waits = [reach.registry.until(record.id, ENDED, STOP_ALL_S) for record in active]
    await asyncio.gather(*waits)
