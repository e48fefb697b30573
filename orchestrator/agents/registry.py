"""The one place where this host's records change: guarded, written down, then announced."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.state import check_step
from orchestrator.store.agents import AgentTable
from orchestrator.store.database import Database
from orchestrator.store.outbox import Outbox
from relay.wire.agents import ManagedAgent, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.events import Event, EventType
from relay.wire.orchestrators import Report
from relay.wire.questions import changed
from relay.wire.references import resolve

__all__ = ["Registry"]

EVENTS_KEPT = 10_000
"""Each shares the agent that it tells of with the record, so the log costs about a kilobyte an event."""


@dataclass(slots=True)
class _Watch:
    queue: asyncio.Queue[Event]
    agent_id: str | None

    def put(self, event: Event) -> None:
        """Hand on `event`; a reader that is too slow loses the oldest and is told so."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            gap = msgspec.structs.replace(event, type=EventType.LOG_GAP, agent_id=None, data={})
            self.queue.put_nowait(gap)
        self.queue.put_nowait(event)


class Registry:
    """All agents of this host, in memory and on disk.

    Record in, copy out: records are frozen, so whatever is handed out stays as it was. Every change
    is committed together with its report before anyone hears of it.
    """

    def __init__(self, database: Database, host_id: str, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._table = AgentTable(database)
        self._host_id = host_id
        self._clock = clock
        self._watches: list[_Watch] = []
        self._events: collections.deque[Event] = collections.deque(maxlen=EVENTS_KEPT)
        self.outbox = Outbox(database)
        self.outbox_grew = asyncio.Event()
        self._records = {record.id: record for record in self._table.load()}
        self._by_key = {
            (record.caller, record.agent.idempotency_key): record.id
            for record in self._records.values()
            if record.agent.idempotency_key
        }
        self._active = {record.id for record in self._records.values() if not record.agent.ended}

    def __iter__(self) -> Iterator[AgentRecord]:
        return iter(list(self._records.values()))

    def get(self, agent_id: str) -> AgentRecord | None:
        return self._records.get(agent_id)

    def find(self, reference: str) -> AgentRecord:
        """Return the record that an id, unique prefix or label names. Raises `ApiError`."""
        exact = self._records.get(reference)
        if exact is not None:
            return exact
        return self._records[resolve(reference, (record.agent for record in self)).id]

    def by_key(self, caller: str, key: str | None) -> AgentRecord | None:
        """Return the agent that `caller` spawned with the idempotency key `key`."""
        agent_id = self._by_key.get((caller, key)) if key else None
        return self._records.get(agent_id) if agent_id else None

    @property
    def active(self) -> list[AgentRecord]:
        """The agents that have not ended."""
        return [self._records[agent_id] for agent_id in self._active]

    @property
    def active_count(self) -> int:
        return len(self._active)

    def create(self, record: AgentRecord) -> AgentRecord:
        """Add a record. Raises `ApiError` `conflict` if its id or key is taken, `storage_full`."""
        if record.id in self._records or self.by_key(record.caller, record.agent.idempotency_key):
            raise ApiError(Code.CONFLICT, f"agent {record.id} or its idempotency key exists already")
        record = record.showing(orchestrator_id=self._host_id, updated_at=self._clock())
        self._commit(record, "agent.created")
        if record.agent.idempotency_key:
            self._by_key[record.caller, record.agent.idempotency_key] = record.id
        return record

    def change(
        self,
        agent_id: str,
        kind: str,
        *,
        at: int | None = None,
        record: dict[str, Any] | None = None,
        **shown: Any,
    ) -> AgentRecord:
        """Replace fields of an agent and return its new record.

        `shown` are fields of the wire's agent, `record` those of the record itself, `kind` names the
        event and `at` when it happened (default: now). Raises `InvalidStep` if `status` cannot
        follow the present one; then nothing has changed.
        """
        old = self._records[agent_id]
        status = shown.get("status")
        if status is not None and status is not old.agent.status:
            check_step(old.agent.status, status)
        new = msgspec.structs.replace(old, **(record or {})).showing(updated_at=at or self._clock(), **shown)
        if old.agent.status is Status.LOST and status is not None and status is not Status.LOST:
            kind = EventType.AGENT_FOUND
        self._commit(new, kind, at)
        return new

    def note(self, agent_id: str, **fields: Any) -> AgentRecord:
        """Replace fields that only the host needs: written down, but not reported."""
        new = msgspec.structs.replace(self._records[agent_id], **fields)
        self._table.save(new)
        self._records[agent_id] = new
        return new

    def forget(self, agent_id: str) -> None:
        """Delete an ended agent's record."""
        record = self._records[agent_id]
        if not record.agent.ended:
            raise ApiError(Code.CONFLICT, f"agent {agent_id} is {record.agent.status}; stop it first")
        with self._database.transaction():
            self._table.delete(agent_id)
        del self._records[agent_id]
        if record.agent.idempotency_key:
            self._by_key.pop((record.caller, record.agent.idempotency_key), None)
        self._announce(EventType.AGENT_FORGOTTEN, record.agent, self._clock())

    def _commit(self, record: AgentRecord, kind: str, at: int | None = None) -> None:
        at = at or self._clock()
        report = Report(
            seq=0,
            at=at,
            kind=kind,
            agent=record.agent,
            token_hash=record.token_hash if kind == "agent.created" else None,
        )
        try:
            with self._database.transaction(durable=kind == "agent.created"):
                self._table.save(record)
                self.outbox.add(report)
        except sqlite3.OperationalError as error:
            raise ApiError(
                Code.STORAGE_FULL, f"the host's database cannot be written: {error}; free some disk space"
            ) from error
        before = self._records.get(record.id)
        self._records[record.id] = record
        (self._active.discard if record.agent.ended else self._active.add)(record.id)
        self.outbox_grew.set()
        asked, settled = changed(before.agent.approvals if before else [], record.agent.approvals)
        for approval in asked:
            self._announce(EventType.APPROVAL_ASKED, record.agent, at, approval=approval)
        for approval in settled:
            self._announce(EventType.APPROVAL_SETTLED, record.agent, at, approval=approval)
        self._announce(kind, record.agent, at)

    def _announce(self, kind: str, agent: ManagedAgent, at: int, **data: Any) -> None:
        number = max(self._clock() * 1000, self._events[-1].id + 1 if self._events else 0)
        event = Event(
            id=number,
            type=kind,
            at=at,
            received_at=at,
            orchestrator_id=self._host_id,
            agent_id=agent.id,
            data={"status": agent.status, "agent": agent, **data},
        )
        self._events.append(event)
        for watch in self._watches:
            if watch.agent_id in (None, agent.id):
                watch.put(event)

    @contextlib.contextmanager
    def watch(self, agent_id: str | None = None) -> Iterator[asyncio.Queue[Event]]:
        """Give a queue of every event from now on, of one agent or of all."""
        watch = _Watch(asyncio.Queue(EVENTS_KEPT), agent_id)
        self._watches.append(watch)
        try:
            yield watch.queue
        finally:
            self._watches.remove(watch)

    async def events(self, after: int | None, agent_id: str | None = None) -> AsyncIterator[Event]:
        """Yield events after id `after` (None: from now on), without end.

        Where some of them have left memory, the first is a `log.gap`.
        """
        with self.watch(agent_id) as queue:
            last = after or 0
            if after is not None:
                kept = list(self._events)
                if not kept or kept[0].id > after:
                    now = self._clock()
                    yield Event(id=after, type=EventType.LOG_GAP, at=now, received_at=now)
                for event in kept:
                    if event.id > after and agent_id in (None, event.agent_id):
                        last = event.id
                        yield event
            while True:
                event = await queue.get()
                if event.id > last or event.type == EventType.LOG_GAP:
                    yield event

    async def until(self, agent_id: str, statuses: Iterable[Status], timeout_s: float | None) -> AgentRecord:
        """Return the record once its status is one of `statuses`, or as it is after `timeout_s`."""
        wanted = frozenset(statuses)
        return await self.when(agent_id, lambda agent: agent.status in wanted, timeout_s)

    async def when(
        self, agent_id: str, come: Callable[[ManagedAgent], bool], timeout_s: float | None
    ) -> AgentRecord:
        """Return the record once its agent has `come` so far, or as it is after `timeout_s`."""
        with self.watch(agent_id) as queue, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not come((record := self._records[agent_id]).agent):
                    await queue.get()
        return self._records.get(agent_id) or record
