"""Managed agents as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.core.changes import Changes, agent_topic
from relay.core.commands import issue
from relay.core.leases import Leases
from relay.core.mirror import shown
from relay.core.ports import Bus, Store
from relay.core.records import AgentRecord
from relay.core.tokens import Caller, Tokens
from relay.wire.agents import ManagedAgent, Status
from relay.wire.commands import ForgetCommand
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from relay.wire.queries import AgentListQuery, AgentQuery
from relay.wire.references import resolve

__all__ = ["Agents"]

MAX_WAIT_MS = 300_000
MAX_LIST = 10_000

_WAITS: dict[str, Callable[[ManagedAgent], bool]] = {
    "running": lambda agent: agent.status not in (Status.QUEUED, Status.STARTING),
    "ready": lambda agent: agent.ready_at is not None or agent.ended,
    "ended": lambda agent: agent.ended,
}


class Agents:
    def __init__(self, store: Store, bus: Bus, changes: Changes, leases: Leases, tokens: Tokens) -> None:
        self._store = store
        self._bus = bus
        self._changes = changes
        self._leases = leases
        self._tokens = tokens

    async def list(self, query: AgentListQuery) -> list[ManagedAgent]:
        if not 0 < query.limit <= MAX_LIST:
            raise ApiError(Code.INVALID, f"limit must be from 1 to {MAX_LIST}")
        async with self._store.reading() as transaction:
            try:
                records = await transaction.agents.find(query)
            except ValueError as error:
                raise ApiError(Code.INVALID, f"status: {error}; or live, ended, all") from None
        return [self.shown(record) for record in records]

    def shown(self, record: AgentRecord) -> ManagedAgent:
        return shown(record, self._leases.record(record.host_id))

    async def find(self, caller: Caller, reference: str) -> AgentRecord:
        """Return the agent that `reference` (an id, a unique prefix or a label) names.

        Raises `ApiError`: `not_found`, `ambiguous`, or `forbidden` for an agent that asks for another.
        """
        caller_sees_one = caller.id if caller.id and caller.scope == "agent" else None
        if caller_sees_one and not reference.startswith("ag-"):
            caller.check_agent(reference)
        async with self._store.reading() as transaction:
            record = await transaction.agents.get(reference)
            if record is None:
                candidates = await transaction.agents.candidates(reference)
                chosen = resolve(reference, [candidate.agent for candidate in candidates])
                record = next(candidate for candidate in candidates if candidate.id == chosen.id)
        caller.check_agent(record.id)
        return record

    async def get(self, caller: Caller, reference: str, query: AgentQuery) -> ManagedAgent:
        """Return one agent; with `wait` once it has come that far, or as it is when the time is up."""
        record = await self.find(caller, reference)
        if query.wait is None:
            return self.shown(record)
        done = _WAITS.get(query.wait)
        if done is None:
            raise ApiError(Code.INVALID, f"wait must be one of {', '.join(_WAITS)}")
        if not done(record.agent):
            record = await self._wait(record, done, min(max(0, query.timeout_ms), MAX_WAIT_MS) / 1000)
        return self.shown(record)

    async def _wait(
        self, record: AgentRecord, done: Callable[[ManagedAgent], bool], timeout_s: float
    ) -> AgentRecord:
        with self._bus.subscribe(agent_topic(record.id)) as wakeups:
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        async with self._store.reading() as transaction:
                            found = await transaction.agents.get(record.id)
                        if found is None:
                            raise ApiError(Code.NOT_FOUND, f"agent {record.id} was deleted meanwhile")
                        record = found
                        if done(record.agent) or not await wakeups.wait():
                            return record
            except TimeoutError:
                return record

    async def forget(self, caller: Caller, reference: str) -> ManagedAgent:
        """Delete an ended agent here and, as soon as it can be told, on its host."""
        seen = await self.find(caller, reference)
        async with self._changes.begin() as change:
            record = await change.tx.agents.get(seen.id)
            if record is None:
                return self.shown(seen)
            if not record.agent.ended:
                raise ApiError(
                    Code.CONFLICT, f"agent {record.id} is {record.agent.status}; stop it before deleting it"
                )
            old = await change.tx.commands.of_agent(record.id)
            await change.tx.commands.delete([command.id for command in old])
            await change.tx.agents.delete([record.id])
            if (
                record.host_id is not None
                and self._leases.get(record.host_id) is not None
                and record.confirmed
            ):
                await issue(change, record.host_id, ForgetCommand(agent_id=record.id))
            change.agent_event(EventType.AGENT_FORGOTTEN, record)
        await self._tokens.forget_agents([record.id])
        return self.shown(record)
