"""The composition root of the relay: makes every part, hands it what it needs, starts and stops it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from relay.api import agents as agent_routes
from relay.api import approvals as approval_routes
from relay.api import hosts as host_routes
from relay.api import output as output_routes
from relay.api import system as system_routes
from relay.api import terminals as terminal_routes
from relay.api.errors import translate
from relay.api.guard import Guard
from relay.bus.memory import MemoryBus
from relay.config import RelayConfig
from relay.core.agents import Agents
from relay.core.approvals import Approvals
from relay.core.attachments import Attachments
from relay.core.changes import Changes
from relay.core.commands import Commands
from relay.core.events import EventLog
from relay.core.health import HealthReport
from relay.core.hosts import Hosts
from relay.core.leases import Leases
from relay.core.outputs import Outputs
from relay.core.ports import Bus, StorageUnavailable, Store
from relay.core.queue import Queue
from relay.core.reaper import Reaper
from relay.core.reports import Reports
from relay.core.retention import Retention
from relay.core.scrubbing import Scrubber
from relay.core.spawning import Spawning
from relay.core.steering import Steering
from relay.core.tokens import Tokens
from relay.wire.errors import ApiError, Code
from relay.wire.problem import problem
from relay.wire.serving import routes

__all__ = ["AdminFile", "Relay", "version"]

log = structlog.get_logger("relay")


def version() -> str:
    """Return the version of the installed distribution."""
    return metadata.version("musterd")


@dataclass(frozen=True, slots=True)
class AdminFile:
    """The file of the admin token: what it holds, and how to write it."""

    token: str | None
    write: Callable[[str], None]


class Relay:
    """One relay on one store. `asgi` is the application to serve between `start` and `stop`."""

    def __init__(self, config: RelayConfig, store: Store, *, bound: str, allowed: Iterable[str] = ()) -> None:
        self._store = store
        self._bus: Bus = MemoryBus()
        self._leases = Leases(config.heartbeat_ms, config.heartbeats_per_s, config.lease_factor)
        self._changes = Changes(store, self._bus, config.events_kept)
        self._tokens = Tokens(store)
        self._queue = Queue(store, self._changes, self._leases)
        self._reaper = Reaper(self._changes, self._leases, self._queue, self._tokens, config.flush_s)
        self._scrubber = Scrubber(store, config.scrub_delay_s)
        self._retention = Retention(store, self._tokens, config.keep_ms, config.retention_every_s)
        self._attachments = Attachments(
            self._bus, self._leases, self._tokens, open_timeout_s=config.upload_timeout_s
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.asgi = self._application(config, Guard(self._tokens, bound, allowed))

    def _application(self, config: RelayConfig, guard: Guard) -> Starlette:
        store, bus, changes, leases = self._store, self._bus, self._changes, self._leases
        outputs = Outputs(
            store, bus, leases,
            upload_timeout_s=config.upload_timeout_s, queued_follow_s=config.queued_follow_s,
        )  # fmt: skip
        reports = Reports(changes, leases, self._queue, self._tokens)
        commands = Commands(
            store=store,
            bus=bus,
            changes=changes,
            leases=leases,
            live=(outputs, self._attachments),
            reports=reports,
            scrubber=self._scrubber,
            fetch_timeout_s=config.fetch_timeout_s,
        )
        agents = Agents(store, bus, changes, leases, self._tokens)
        spawning = Spawning(changes, leases, self._queue, agents, config.queue_timeout_ms)
        steering = Steering(changes, leases, agents, commands, config.signal_timeout_ms)
        hosts = Hosts(store, changes, leases, self._queue)
        health = HealthReport(store, bus, leases, self._reaper, version())
        handlers = {
            **host_routes.handlers(hosts, reports, commands, outputs),
            **agent_routes.handlers(agents, spawning, steering),
            **approval_routes.handlers(Approvals(store, agents, steering)),
            **output_routes.handlers(agents, outputs),
            **terminal_routes.handlers(agents, steering, self._attachments),
            **system_routes.handlers(EventLog(store, bus), health, self._tokens, version()),
        }
        return Starlette(
            routes=routes(handlers, guard, translate), exception_handlers={HTTPException: _no_route}
        )

    async def start(self, admin: AdminFile) -> None:
        """Take up what the store knows and begin to work. Raises `StorageUnavailable` and `OSError`."""
        await self._tokens.load()
        await self._tokens.ensure_admin(admin.token, admin.write)
        async with self._store.reading() as transaction:
            self._leases.load(await transaction.hosts.all())
        loops: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
            self._queue.run,
            self._reaper.run,
            self._scrubber.run,
            self._retention.run,
        )
        self._tasks = [asyncio.create_task(loop()) for loop in loops]
        for task in self._tasks:
            task.add_done_callback(_say_if_it_failed)

    def begin_stop(self) -> None:
        """Let every open stream and every waiting call come to its end."""
        self._bus.close()
        self._attachments.close()

    async def stop(self) -> None:
        """Stop working, write down what is only in memory, and let go of the store."""
        self.begin_stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StorageUnavailable):
            await self._reaper.flush()
        await self._store.close()


def _say_if_it_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a loop of the relay died", exc_info=task.exception())


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    what = "does not take this method" if status == 405 else "is not a call of this relay"
    message = f"{request.method} {request.url.path} {what}; GET /api/spec lists them"
    return problem(ApiError(Code.NOT_FOUND, message))
