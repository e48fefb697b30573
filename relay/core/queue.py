"""The spawns that wait for a host: placed when one can take them, rejected at their deadline."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import structlog

from relay.core.changes import Change, Changes, host_topic
from relay.core.leases import Leases
from relay.core.mirror import ended
from relay.core.placement import place
from relay.core.ports import StorageUnavailable, Store
from relay.core.records import AgentRecord, CommandRecord, NewCommand
from relay.wire.agents import Cause, CauseKind, Status
from relay.wire.base import now_ms
from relay.wire.commands import SpawnCommand
from relay.wire.events import EventType

__all__ = ["Queue", "reject"]

RETRY_S = 1.0
"""After the store could not do it."""

log = structlog.get_logger("relay.queue")


class Queue:
    """Level-triggered: whoever changes what a host can take pokes it, and it looks at everything."""

    def __init__(self, store: Store, changes: Changes, leases: Leases) -> None:
        self._store = store
        self._changes = changes
        self._leases = leases
        self._poked = asyncio.Event()
        self._reasons: dict[int, str | None] = {}
        self._next: int | None = None

    def poke(self) -> None:
        """Say that a host may be able to take a spawn."""
        self._poked.set()

    def watch(self, deadline_at: int | None) -> None:
        """Say that a spawn was stored that has a host already, and has to be sent there by then."""
        if deadline_at is not None and (self._next is None or deadline_at < self._next):
            self._poked.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                deadline = await self._step()
            except StorageUnavailable as error:
                log.warning("queue not worked", error=str(error))
                deadline = now_ms() + int(RETRY_S * 1000)
            delay = None if deadline is None else max(0.0, (deadline - now_ms()) / 1000)
            try:
                async with asyncio.timeout(delay):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def _step(self) -> int | None:
        """Place and reject what can be; return when the next deadline is."""
        self._poked.clear()
        self._next = None  # until it is known, every new deadline counts
        async with self._store.reading() as transaction:
            unplaced = await transaction.commands.unplaced()
            overdue = await transaction.commands.overdue(now_ms())
        # A thousand spawns that wait must not cost a thousand transactions at every poke.
        waiting = {command.id for command in unplaced}
        self._reasons = {number: why for number, why in self._reasons.items() if number in waiting}
        for command in unplaced:
            if self._news_for(command):
                await self._place(command)
        for command in overdue:
            await self._reject(command)
        async with self._store.reading() as transaction:
            self._next = await transaction.commands.next_deadline()
        return self._next

    def _news_for(self, command: CommandRecord) -> bool:
        assert isinstance(command.body, SpawnCommand)
        choice = place(command.body.request, self._leases)
        return choice.host_id is not None or self._reasons.get(command.id, "") != choice.reason

    async def _place(self, seen: CommandRecord) -> None:
        assert isinstance(seen.body, SpawnCommand)
        if seen.deadline_at is not None and seen.deadline_at <= now_ms():
            return
        async with self._changes.begin() as change:
            command = await change.tx.commands.get(seen.id)
            record = await change.tx.agents.get(seen.body.agent_id)
            if command is None or record is None or command.host_id is not None:
                return
            choice = place(seen.body.request, self._leases)
            if choice.host_id is None:
                self._reasons[seen.id] = choice.reason
                if choice.reason != record.agent.reason:
                    await change.tx.agents.put([_told(record, record.host_id, choice.reason)])
                return
            await move(change, command, choice.host_id)
            await change.tx.agents.put([_told(record, choice.host_id, None)])
            change.wake(host_topic(choice.host_id))
        lease = self._leases.get(choice.host_id)
        if lease is not None:
            lease.placed[record.id] = False

    async def _reject(self, seen: CommandRecord) -> None:
        assert isinstance(seen.body, SpawnCommand)
        async with self._changes.begin() as change:
            command = await change.tx.commands.get(seen.id)
            record = await change.tx.agents.get(seen.body.agent_id)
            if command is None or record is None or command.delivered_at is not None:
                return
            why = record.agent.reason or f"{record.host_id} did not fetch it"
            waited = (now_ms() - command.created_at) / 1000
            await reject(change, command, record, f"no host took it within {waited:.0f} s: {why}")
        lease = self._leases.get(record.host_id)
        if lease is not None:
            lease.placed.pop(record.id, None)

    async def take_back(self, change: Change, host_id: str) -> None:
        """Let go of the host's spawns that it has never been sent; another host may take them."""
        lease = self._leases.get(host_id)
        for command in await change.tx.commands.pending(host_id, 0):
            if not isinstance(command.body, SpawnCommand) or command.delivered_at is not None:
                continue
            await move(change, command, None)
            record = await change.tx.agents.get(command.body.agent_id)
            if record is not None:
                named = command.body.request.orchestrator_id
                reason = f"{host_id} went offline before it could be sent there"
                await change.tx.agents.put([_told(record, named, reason)])
            if lease is not None:
                lease.placed.pop(command.body.agent_id, None)


async def move(change: Change, command: CommandRecord, host_id: str | None) -> None:
    """Give an undelivered command to another host, or to none, under a new and higher id.

    A host that resumes its stream after a certain id would never see one that was given to it late.
    """
    assert command.body is not None
    await change.tx.commands.delete([command.id])
    await change.tx.commands.add(
        NewCommand(command.body, command.created_at, host_id, command.expires_at, command.deadline_at)
    )


async def reject(change: Change, command: CommandRecord, record: AgentRecord, message: str) -> None:
    """Withdraw an undelivered spawn and end its agent as rejected."""
    await change.tx.commands.delete([command.id])
    rejected = ended(
        record, Status.REJECTED, Cause(kind=CauseKind.REJECTED, message=message, by="relay"), now_ms()
    )
    await change.tx.agents.put([rejected])
    change.agent_event(EventType.AGENT_ENDED, rejected)


def _told(record: AgentRecord, host_id: str | None, reason: str | None) -> AgentRecord:
    agent = msgspec.structs.replace(
        record.agent, orchestrator_id=host_id, reason=reason, updated_at=now_ms(), received_at=now_ms()
    )
    return replace(record, agent=agent)
