"""Hosts: registration, heartbeat, listing, actions, removal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from relay.core.changes import Change, Changes, host_topic
from relay.core.commands import issue
from relay.core.leases import Lease, Leases
from relay.core.mirror import at_time, lost
from relay.core.ports import Store
from relay.core.queue import Queue, reject
from relay.core.records import HostRecord
from relay.core.tokens import Caller
from relay.wire.agents import Presence, Status
from relay.wire.base import PROTOCOL, now_ms
from relay.wire.commands import ActCommand, CommandResult
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from relay.wire.orchestrators import (
    Action,
    ActionRequest,
    Heartbeat,
    HeartbeatReply,
    Orchestrator,
    Registration,
    RegistrationReply,
    RosterEntry,
)

__all__ = ["Hosts"]

ACT_EXPIRES_MS = 600_000
"""A host that comes back later must not be shut down by an old wish."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Hosts:
    def __init__(self, store: Store, changes: Changes, leases: Leases, queue: Queue) -> None:
        self._store = store
        self._changes = changes
        self._leases = leases
        self._queue = queue

    async def register(self, caller: Caller, said: Registration) -> RegistrationReply:
        """Take a host in. Each one raises the epoch, which shuts out what is said under an older one.

        Raises `ApiError`: `id_taken` while another state directory's daemon holds the id,
        `protocol_unsupported` for one from the future.
        """
        _check_registration(caller, said)
        async with self._changes.begin() as change:
            known = self._leases.record(said.id)
            self._check_free(known, said)
            record = _registered(known, said)
            await change.tx.hosts.put(record)
            if known is None or known.facts.state_id != said.state_id:
                await change.tx.hosts.set_last_seq(said.id, 0)
            change.host_event(
                EventType.ORCHESTRATOR_REGISTERED,
                said.id,
                epoch=record.epoch,
                hostname=said.hostname,
                version=said.version,
                instanceId=said.instance_id,
            )
            if known is None or not known.online:
                change.host_event(EventType.ORCHESTRATOR_ONLINE, said.id)
            change.wake(host_topic(said.id))
        lease = self._leases.put(record)
        self._queue.poke()
        return RegistrationReply(
            orchestrator=await self._view(lease),
            epoch=record.epoch,
            heartbeat_interval_ms=self._leases.interval_ms,
            lease_ms=self._leases.lease_ms,
            server_time=now_ms(),
        )

    def _check_free(self, known: HostRecord | None, said: Registration) -> None:
        if known is None or said.take_over or known.facts.instance_id == said.instance_id:
            return
        if known.online and known.facts.state_id != said.state_id:
            raise ApiError(
                Code.ID_TAKEN,
                f"host id {said.id!r} is in use by {known.facts.hostname} since {at_time(known.changed_at)}, "
                f"last heard of at {at_time(known.last_seen)}: give this host another --id, or use "
                "--take-over if the other one is gone for good",
                hostname=known.facts.hostname,
                since=known.changed_at,
            )

    async def heartbeat(self, host_id: str, beat: Heartbeat) -> HeartbeatReply:
        """Renew the lease; only a change of status or of what the host has is written at once."""
        lease = self._leases.fenced(host_id, beat)
        was_running = lease.running
        self._leases.beat(lease, beat)
        draining = lease.record.draining if lease.drain_command is not None else beat.draining
        changed = not lease.record.online or draining != lease.record.draining
        news = _news(beat)
        if changed or news:
            await self._write_through(lease, beat, draining, news)
        if changed or lease.running < was_running:
            self._queue.poke()
        return HeartbeatReply(
            heartbeat_interval_ms=self._leases.interval_ms,
            lease_ms=self._leases.lease_ms,
            server_time=now_ms(),
            clock_skew_ms=lease.record.skew_ms,
            roster_wanted=lease.roster_epoch != lease.record.epoch,
        )

    async def _write_through(
        self, lease: Lease, beat: Heartbeat, draining: bool, news: dict[str, Any]
    ) -> None:
        async with self._changes.begin() as change:
            self._leases.fenced(lease.record.id, beat)
            facts = msgspec.structs.replace(lease.record.facts, **news)
            record = replace(lease.record, draining=draining, facts=facts)
            if not record.online:
                record = record.turned(online=True, at=now_ms())
                change.host_event(EventType.ORCHESTRATOR_ONLINE, record.id)
            await change.tx.hosts.put(record)
        lease.record = record
        self._queue.poke()

    async def list(self) -> list[Orchestrator]:
        async with self._store.reading() as transaction:
            rosters = await transaction.agents.rosters()
        leases = sorted(self._leases, key=lambda lease: lease.record.id)
        return [_shown(lease.record, rosters.get(lease.record.id, [])) for lease in leases]

    async def get(self, host_id: str) -> Orchestrator:
        return await self._view(self._leases.known(host_id))

    async def _view(self, lease: Lease) -> Orchestrator:
        host_id = lease.record.id
        async with self._store.reading() as transaction:
            rosters = await transaction.agents.rosters(host_id)
        return _shown(lease.record, rosters.get(host_id, []))

    async def act(self, caller: Caller, host_id: str, request: ActionRequest) -> CommandResult:
        """Queue an action for a host. A drain holds at once for placement, before the host knows."""
        if request.action is Action.UPGRADE:
            raise ApiError(Code.INVALID, "the action upgrade is not supported by this version")
        lease = self._leases.known(host_id)
        drains = request.action in (Action.DRAIN, Action.UNDRAIN)
        async with self._changes.begin() as change:
            body = ActCommand(request=request, by=caller.shown)
            expires_at = None if drains else now_ms() + ACT_EXPIRES_MS
            command_id = await issue(change, host_id, body, expires_at=expires_at)
            record = lease.record
            if drains:
                record = replace(record, draining=request.action is Action.DRAIN)
                await change.tx.hosts.put(record)
        lease.record = record
        if drains:
            lease.drain_command = command_id
            self._queue.poke()
        return CommandResult(command_id=command_id, state="pending")

    async def delete(self, caller: Caller, host_id: str) -> Orchestrator:
        """Forget an offline host: its agents are lost, by the word of a person."""
        lease = self._leases.known(host_id)
        view = await self._view(lease)
        async with self._changes.begin() as change:
            if lease.record.online:
                raise ApiError(
                    Code.CONFLICT, f"host {host_id} is online; shut it down first (`muster down` there)"
                )
            await self._abandon(change, host_id, caller.shown)
            await change.tx.hosts.delete(host_id)
            change.host_event(EventType.ORCHESTRATOR_REMOVED, host_id, by=caller.shown)
            change.wake(host_topic(host_id))
        self._leases.remove(host_id)
        self._queue.poke()
        return view

    async def _abandon(self, change: Change, host_id: str, by: str) -> None:
        spawns = {}
        for command in await change.tx.commands.pending(host_id, 0):
            if command.kind == "spawn" and command.delivered_at is None:
                spawns[command.agent_id] = command
            else:
                await change.tx.commands.delete([command.id])
        for command in await change.tx.commands.unplaced():
            spawns[command.agent_id] = command
        for record in await change.tx.agents.live_of(host_id):
            spawn = spawns.get(record.id)
            if spawn is not None:
                await reject(
                    change, spawn, record, f"host {host_id} was removed by {by} before it was sent there"
                )
                continue
            gone = lost(record, f"its host {host_id} was removed by {by}", now_ms(), by)
            await change.tx.agents.put([gone])
            change.approval_events(record, gone)
            change.agent_event(EventType.AGENT_ENDED, gone)


def _check_registration(caller: Caller, said: Registration) -> None:
    caller.check_host(said.id)
    if said.protocol > PROTOCOL:
        raise ApiError(
            Code.PROTOCOL_UNSUPPORTED,
            f"the host speaks protocol {said.protocol}, this relay only up to {PROTOCOL}: "
            "upgrade the relay (pip install -U musterd) and restart it",
        )
    if not _ID.fullmatch(said.id):
        raise ApiError(
            Code.INVALID, "a host id is made of letters, digits, dots, dashes and underscores, at most 128"
        )
    if not said.instance_id or not said.state_id:
        raise ApiError(Code.INVALID, "instanceId and stateId must not be empty")


def _news(beat: Heartbeat) -> dict[str, Any]:
    """Return what a heartbeat corrects of what its host said when it registered."""
    said = {"capabilities": beat.capabilities, "terminals": beat.terminals, "desktop": beat.desktop}
    return {name: value for name, value in said.items() if value is not None}


def _registered(known: HostRecord | None, said: Registration) -> HostRecord:
    now = now_ms()
    skew = said.sent_at - now if said.sent_at else 0
    if known is None:
        return HostRecord(said, 1, True, False, now, now, now, skew_ms=skew, load=said.load)
    return replace(
        known if known.online else known.turned(online=True, at=now),
        facts=said,
        epoch=known.epoch + 1,
        draining=known.draining and known.facts.state_id == said.state_id,
        last_seen=now,
        skew_ms=skew,
        load=said.load,
    )


def _shown(record: HostRecord, roster: list[RosterEntry]) -> Orchestrator:
    facts = record.facts
    presence = Presence.LIVE if record.online else Presence.UNKNOWN
    return Orchestrator(
        id=facts.id,
        hostname=facts.hostname,
        status=record.status,
        agent_id=f"orchestrator-{facts.id}",
        providers=record.providers,
        base_dir=facts.base_dir,
        env_keys=facts.env_keys,
        meta=facts.meta,
        managed_agents=[
            entry if entry.status is Status.QUEUED else msgspec.structs.replace(entry, presence=presence)
            for entry in roster
        ],
        last_seen=record.last_seen,
        created_at=record.created_at,
        offline_since=None if record.online else record.changed_at,
        instance_id=facts.instance_id,
        epoch=record.epoch,
        os=facts.os,
        arch=facts.arch,
        version=facts.version,
        capabilities=facts.capabilities,
        terminals=facts.terminals,
        desktop=facts.desktop,
        labels=facts.labels,
        max_agents=facts.max_agents,
        load=record.load,
        clock_skew_ms=record.skew_ms,
    )
