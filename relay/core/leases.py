"""The hosts in memory: fences, leases, loads. What a heartbeat costs is a look-up here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from relay.core.mirror import at_time
from relay.core.records import HostRecord
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.orchestrators import Fence, Heartbeat

__all__ = ["Lease", "Leases"]


@dataclass(slots=True)
class Lease:
    """One host. `deadline` is monotonic, so that a suspended machine does not age it.

    `named` are the agents that the host counts, None while it has only told how many (`load`).
    `placed` are those given to it that it does not count yet (True once it has acknowledged them),
    `ended` those that ended since it counted (True if it counts them). `stream` numbers its open
    command stream, 0 for none. `roster_epoch` is the epoch whose full roster has arrived.
    `drain_command` is the unacknowledged drain or undrain, until which the host's own word is old.
    """

    record: HostRecord
    deadline: float
    placed: dict[str, bool] = field(default_factory=dict)
    named: frozenset[str] | None = None
    ended: dict[str, bool] = field(default_factory=dict)
    stream: int = 0
    roster_epoch: int = 0
    drain_command: int | None = None
    dirty: bool = False

    @property
    def running(self) -> int:
        """How many agents the host has, as far as can be known before its next heartbeat."""
        counted = self.record.load.running if self.named is None else len(self.named)
        return max(0, counted + len(self.placed) - sum(self.ended.values()))

    @property
    def listens(self) -> bool:
        """Whether its command stream is open: what is stored for it now is sent at once."""
        return self.stream != 0

    @property
    def full(self) -> bool:
        """`maxAgents` 0 means no limit."""
        limit = self.record.facts.max_agents
        return 0 < limit <= self.running

    def agent_ended(self, agent_id: str) -> None:
        new = self.placed.pop(agent_id, None) is not None
        self.ended[agent_id] = not new if self.named is None else agent_id in self.named

    def count(self, named: frozenset[str] | None) -> None:
        """Take over which agents the host counts. It may have counted before the last word on some.

        None comes from an older host: what it has acknowledged by now is taken to be in its `load`.
        """
        self.named = named
        if named is None:
            self.placed = {agent: acked for agent, acked in self.placed.items() if not acked}
            self.ended.clear()
        else:
            self.placed = {agent: acked for agent, acked in self.placed.items() if agent not in named}
            self.ended = dict.fromkeys(self.ended.keys() & named, True)


class Leases:
    """Every known host. Changed only on the event loop, and only after the store was."""

    def __init__(self, heartbeat_ms: int, heartbeats_per_s: float, lease_factor: int) -> None:
        self._heartbeat_ms = heartbeat_ms
        self._per_s = heartbeats_per_s
        self._factor = lease_factor
        self._leases: dict[str, Lease] = {}
        self._streams = 0

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._leases.values())

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def interval_ms(self) -> int:
        """How often a host shall send a heartbeat, so that all together stay under the set rate."""
        return max(self._heartbeat_ms, int(len(self._leases) / self._per_s * 1000))

    @property
    def lease_ms(self) -> int:
        return self.interval_ms * self._factor

    def get(self, host_id: str | None) -> Lease | None:
        return None if host_id is None else self._leases.get(host_id)

    def record(self, host_id: str | None) -> HostRecord | None:
        lease = self.get(host_id)
        return None if lease is None else lease.record

    def known(self, host_id: str) -> Lease:
        """Return a host, or raise `ApiError` `unknown_orchestrator` with the ids there are."""
        lease = self._leases.get(host_id)
        if lease is None:
            ids = sorted(self._leases)
            there = ", ".join(ids[:20]) if ids else "none has registered yet"
            raise ApiError(
                Code.UNKNOWN_ORCHESTRATOR, f"no host {host_id!r} here; known hosts: {there}", known=ids[:100]
            )
        return lease

    def need_online(self, host_id: str, so: str) -> HostRecord:
        """Return a host that can be asked now, or raise `ApiError` `host_offline` that goes on with `so`."""
        host = self.record(host_id)
        if host is not None and host.online:
            return host
        since = f" since {at_time(host.changed_at)}" if host is not None else ""
        raise ApiError(
            Code.HOST_OFFLINE,
            f"host {host_id} is offline{since}; {so}",
            offlineSince=None if host is None else host.changed_at,
            orchestratorId=host_id,
        )

    def fenced(self, host_id: str, fence: Fence) -> Lease:
        """Return the host if `fence` is its newest, else raise `ApiError`.

        `not_found` means that it must register (again), `stale_epoch` that another daemon has
        taken its place since.
        """
        lease = self._leases.get(host_id)
        if lease is None:
            raise ApiError(Code.NOT_FOUND, f"host {host_id!r} is not registered here; register again")
        if not self.current(lease, fence.instance_id, fence.epoch):
            raise ApiError(
                Code.STALE_EPOCH,
                f"another daemon registered as {host_id!r} after this one (epoch {lease.record.epoch}, "
                f"on {lease.record.facts.hostname}); this one must stop speaking for it",
                epoch=lease.record.epoch,
            )
        return lease

    @staticmethod
    def current(lease: Lease, instance_id: str, epoch: int) -> bool:
        return lease.record.facts.instance_id == instance_id and lease.record.epoch == epoch

    def put(self, record: HostRecord) -> Lease:
        """Take over what was just stored, with a fresh lease; the old stream is superseded."""
        lease = self._leases.get(record.id)
        if lease is None:
            lease = self._leases[record.id] = Lease(record, 0.0)
        elif lease.record.epoch != record.epoch:
            lease.stream = 0
            lease.named = None
            lease.ended.clear()
        lease.record = record
        self.renew(lease)
        return lease

    def load(self, records: list[HostRecord]) -> None:
        """Take up all hosts at the relay's start. Each gets a fresh lease: it could not renew it
        while the relay was away."""
        for record in records:
            self.put(record)

    def renew(self, lease: Lease) -> None:
        lease.deadline = time.monotonic() + self.lease_ms / 1000

    def extend(self, seconds: float) -> None:
        """Make up for a pause of the relay itself, in which it could not hear anybody."""
        for lease in self._leases.values():
            lease.deadline += seconds

    def beat(self, lease: Lease, heartbeat: Heartbeat) -> None:
        """Renew the lease and note what the heartbeat says; it reaches the store with the next flush."""
        now = now_ms()
        skew = heartbeat.sent_at + heartbeat.rtt_ms // 2 - now if heartbeat.sent_at else 0
        lease.record = replace(lease.record, last_seen=now, skew_ms=skew, load=heartbeat.load)
        lease.count(None if heartbeat.agents is None else frozenset(heartbeat.agents))
        lease.dirty = True
        self.renew(lease)

    def expired(self) -> list[Lease]:
        now = time.monotonic()
        return [lease for lease in self._leases.values() if lease.record.online and lease.deadline <= now]

    def next_deadline(self) -> float | None:
        """Return when the next lease of an online host runs out, on the monotonic clock."""
        return min((lease.deadline for lease in self._leases.values() if lease.record.online), default=None)

    def remove(self, host_id: str) -> None:
        self._leases.pop(host_id, None)

    def open_stream(self, lease: Lease) -> int:
        """Return the number of a new command stream, which supersedes the host's earlier one."""
        self._streams += 1
        lease.stream = self._streams
        return self._streams

    def take_dirty(self) -> list[HostRecord]:
        """Return what heartbeats changed since the last call."""
        dirty = [lease for lease in self._leases.values() if lease.dirty]
        for lease in dirty:
            lease.dirty = False
        return [lease.record for lease in dirty]
