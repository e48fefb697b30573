"""The command queue of a host: sent until acknowledged, settled once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from relay.core.changes import Change, Changes, command_topic, host_topic
from relay.core.leases import Lease, Leases
from relay.core.mirror import ended
from relay.core.ports import Bus, Store
from relay.core.records import CommandRecord, CommandState, NewCommand
from relay.core.reports import Intake, Reports
from relay.core.scrubbing import Scrubber
from relay.wire.agents import Cause, CauseKind, Status
from relay.wire.base import now_ms
from relay.wire.commands import (
    CommandAck,
    CommandBody,
    CommandEnvelope,
    CommandResult,
    ForgetCommand,
    Outcome,
    SpawnCommand,
)
from relay.wire.errors import ApiError, Code, ErrorBody, ErrorDetail
from relay.wire.events import EventType
from relay.wire.orchestrators import Fence

__all__ = ["Commands", "issue"]


async def issue(change: Change, host_id: str, body: CommandBody, *, expires_at: int | None = None) -> int:
    """Queue a command for a host and return its id; the host's stream is woken by the commit."""
    change.wake(host_topic(host_id))
    return await change.tx.commands.add(NewCommand(body, now_ms(), host_id, expires_at))


class Live(Protocol):
    """Requests for live bytes, which are not stored: who waits for them is connected now."""

    def wanted(self, host_id: str, sent: set[str]) -> Sequence[CommandBody]:
        """Return the requests to a host that are not in `sent` yet, and add them to it."""


class Commands:
    """`fetch_timeout_s` is how long a host may have no command stream before it is not waited for."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        changes: Changes,
        leases: Leases,
        live: Sequence[Live],
        reports: Reports,
        scrubber: Scrubber,
        fetch_timeout_s: float,
    ) -> None:
        self._store = store
        self._bus = bus
        self._changes = changes
        self._leases = leases
        self._live = live
        self._reports = reports
        self._scrubber = scrubber
        self._fetch_timeout_s = fetch_timeout_s

    def stream(self, host_id: str, fence: Fence, after: int) -> AsyncIterator[CommandEnvelope]:
        """Return the unacknowledged commands with a higher id than `after`, then the new ones.

        It ends when the fence is stale, a newer stream of the host is opened or the relay stops.
        Raises `ApiError` for a fence that is stale already.
        """
        lease = self._leases.fenced(host_id, fence)
        number = self._leases.open_stream(lease)
        self._bus.publish(host_topic(host_id))
        return self._follow(lease, number, fence, after)

    async def _follow(
        self, lease: Lease, number: int, fence: Fence, after: int
    ) -> AsyncIterator[CommandEnvelope]:
        host_id = lease.record.id
        asked = [(live, set[str]()) for live in self._live]
        try:
            with self._bus.subscribe(host_topic(host_id)) as wakeups:
                while self._current(lease, number, fence):
                    for command in await self._take(lease, number, after):
                        after = command.id
                        yield command
                    for live, sent in asked:
                        for body in live.wanted(host_id, sent):
                            yield CommandEnvelope(id=0, created_at=now_ms(), body=body)
                    if not await wakeups.wait():
                        return
        finally:
            if lease.stream == number:
                lease.stream = 0

    def _current(self, lease: Lease, number: int, fence: Fence) -> bool:
        return (
            self._leases.get(lease.record.id) is lease
            and lease.stream == number
            and self._leases.current(lease, fence.instance_id, fence.epoch)
        )

    async def _take(self, lease: Lease, number: int, after: int) -> list[CommandEnvelope]:
        """Return what is to be sent. It is noted as delivered before it is written, never after:
        a command that may have arrived is not given to anybody else."""
        async with self._store.reading() as transaction:
            pending = await transaction.commands.pending(lease.record.id, after)
        now = now_ms()
        if any(command.delivered_at is None for command in pending):
            pending = await self._deliver(lease, number, after, now)
        if lease.stream != number:
            return []
        return [_envelope(command) for command in pending if not _expired(command, now)]

    async def _deliver(self, lease: Lease, number: int, after: int, now: int) -> list[CommandRecord]:
        """Note all as delivered that is to be sent, and return it; delete what came too late for that."""
        async with self._changes.begin() as change:
            if lease.stream != number:
                return []
            pending = await change.tx.commands.pending(lease.record.id, after)
            new = [command for command in pending if command.delivered_at is None]
            stale = [command.id for command in new if _expired(command, now)]
            if stale:
                await change.tx.commands.delete(stale)
            fresh = [command for command in new if not _expired(command, now)]
            if fresh:
                await change.tx.commands.mark_delivered([command.id for command in fresh], now)
            spawned = [c.agent_id for c in fresh if c.agent_id is not None and c.kind == "spawn"]
            if spawned:
                await change.tx.agents.mark_delivered(spawned, now)
        return pending

    async def ack(self, host_id: str, command_id: int, ack: CommandAck) -> CommandResult:
        """Settle a command for good. Repeating it changes nothing; a command that is not known any
        more is answered with state `unknown`, for there is nothing left to do about it."""
        async with self._changes.begin() as change:
            lease = self._leases.fenced(host_id, ack)
            command = await change.tx.commands.get(command_id)
            if command is None:
                return CommandResult(command_id=command_id, state="unknown")
            if command.host_id != host_id:
                raise ApiError(Code.FORBIDDEN, f"command {command_id} is not for host {host_id}")
            if command.state != CommandState.PENDING:
                return _result(command_id, command.state, command.outcome or {})
            outcome: dict[str, Any] = {}
            if ack.error is not None:
                outcome["error"] = {
                    "code": ack.error.code,
                    "message": ack.error.message,
                    "details": ack.error.details,
                }
            if ack.result is not None:
                outcome["result"] = ack.result
            state = CommandState.DONE if ack.outcome is Outcome.DONE else CommandState.REFUSED
            await change.tx.commands.settle(command_id, state, outcome, now_ms())
            intake = await Intake.begin(change, lease, [command.agent_id] if command.agent_id else [])
            await self._apply(change, command, ack, intake)
            change.wake(command_topic(command_id))
        self._acked(lease, command, ack)
        self._reports.settle(lease, intake)
        return _result(command_id, state, outcome)

    def _acked(self, lease: Lease, command: CommandRecord, ack: CommandAck) -> None:
        if lease.drain_command == command.id:
            lease.drain_command = None
        if not isinstance(command.body, SpawnCommand):
            return
        if command.body.agent_id in lease.placed and ack.outcome is Outcome.DONE:
            lease.placed[command.body.agent_id] = True
        if command.body.request.env:
            self._scrubber.wanted()

    async def _apply(self, change: Change, command: CommandRecord, ack: CommandAck, intake: Intake) -> None:
        if isinstance(command.body, ForgetCommand) and ack.outcome is Outcome.DONE:
            await change.tx.agents.delete([command.body.agent_id])
        elif ack.agent is not None and ack.agent.id == command.agent_id:
            await intake.take(ack.agent)
            await intake.store()
        elif isinstance(command.body, SpawnCommand) and ack.outcome is Outcome.REFUSED:
            record = await change.tx.agents.get(command.body.agent_id)
            if record is not None and not record.agent.ended:
                message = ack.error.message if ack.error else "the host refused it without a reason"
                cause = Cause(kind=CauseKind.REJECTED, message=message, by=command.host_id)
                rejected = ended(record, Status.REJECTED, cause, now_ms())
                await change.tx.agents.put([rejected])
                change.agent_event(EventType.AGENT_ENDED, rejected)
                intake.ended.append(record.id)

    async def wait(self, host_id: str, command_id: int, timeout_s: float) -> CommandResult:
        """Return what the host answered.

        Raises the `ApiError` that it refused with, and `timeout` if it has not answered in time:
        then a command that was never sent is withdrawn, of one that was sent nothing is known.
        """
        began = time.monotonic()
        fetch_s = min(self._fetch_timeout_s, timeout_s)
        with self._bus.subscribe(command_topic(command_id)) as wakeups:
            command = await self._settled(command_id)
            if command is None:
                woken = await wakeups.wait(fetch_s)
                if not woken and await self._is_taken(host_id, command_id):
                    woken = await wakeups.wait(timeout_s - fetch_s)
                if woken:
                    command = await self._settled(command_id)
        if command is None:
            command = await self._give_up(host_id, command_id, time.monotonic() - began)
        outcome = command.outcome or {}
        if command.state == CommandState.REFUSED:
            error = outcome.get("error") or {"code": Code.INTERNAL, "message": "the host refused it"}
            raise ApiError.from_body(ErrorBody(error=ErrorDetail(**error)))
        return _result(command_id, command.state, outcome)

    async def _settled(self, command_id: int) -> CommandRecord | None:
        async with self._store.reading() as transaction:
            command = await transaction.commands.get(command_id)
        if command is None:
            raise ApiError(Code.UNAVAILABLE, "the command was withdrawn: its host was removed")
        return None if command.state == CommandState.PENDING else command

    async def _is_taken(self, host_id: str, command_id: int) -> bool:
        """Whether the host has the command, or is connected to take it."""
        lease = self._leases.get(host_id)
        if lease is not None and lease.listens:
            return True
        async with self._store.reading() as transaction:
            command = await transaction.commands.get(command_id)
        return command is not None and command.delivered_at is not None

    async def _give_up(self, host_id: str, command_id: int, waited_s: float) -> CommandRecord:
        async with self._changes.begin() as change:
            command = await change.tx.commands.get(command_id)
            if command is not None and command.state != CommandState.PENDING:
                return command
            sent = command is not None and command.delivered_at is not None
            if not sent:
                await change.tx.commands.delete([command_id])
        if sent:
            raise ApiError(
                Code.TIMEOUT,
                f"the host has not answered within {waited_s:.0f} s; whether it was done is unknown",
                delivered=True,
            )
        raise ApiError(
            Code.TIMEOUT,
            f"host {host_id} has not fetched it within {waited_s:.0f} s; it was withdrawn, nothing happened: "
            "is its daemon running (`muster up` there)?",
            delivered=False,
        )


def _expired(command: CommandRecord, now: int) -> bool:
    return command.expires_at is not None and command.expires_at <= now


def _envelope(command: CommandRecord) -> CommandEnvelope:
    assert command.body is not None
    return CommandEnvelope(
        id=command.id, created_at=command.created_at, body=command.body, expires_at=command.expires_at
    )


def _result(command_id: int, state: str, outcome: dict[str, Any]) -> CommandResult:
    return CommandResult(command_id=command_id, state=state, result=outcome.get("result"))
