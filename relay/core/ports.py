"""What the rules need from outside: a store and a bus.

`tests/contracts/relay_store_contract.py` holds every store to this text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from relay.core.records import AgentRecord, CommandRecord, EventDraft, HostRecord, NewCommand, TokenRecord
from relay.wire.events import Event
from relay.wire.orchestrators import RosterEntry
from relay.wire.queries import AgentListQuery

__all__ = [
    "Agents",
    "Bus",
    "Commands",
    "Events",
    "Hosts",
    "StorageFull",
    "StorageUnavailable",
    "Store",
    "Tokens",
    "Transaction",
    "Wakeups",
]


class StorageUnavailable(Exception):
    """The store could not do it, and nothing was changed; trying again may help."""


class StorageFull(StorageUnavailable):
    """No room on the store's disk; nothing was changed."""


class Agents(Protocol):
    async def get(self, agent_id: str) -> AgentRecord | None: ...

    async def get_many(self, ids: Sequence[str]) -> dict[str, AgentRecord]: ...

    async def by_key(self, caller: str, key: str) -> AgentRecord | None:
        """Return the agent that `caller` asked for under idempotency key `key`."""

    async def put(self, records: Sequence[AgentRecord]) -> None:
        """Insert or replace by id; `stored_at` and `caller` of a known id are kept."""

    async def find(self, query: AgentListQuery) -> list[AgentRecord]:
        """Return what matches, newest first. Raises `ValueError` for an unknown status."""

    async def candidates(self, reference: str) -> list[AgentRecord]:
        """Return every agent that `reference` might name: by id, by prefix or by label."""

    async def asking(
        self, *, pending: bool, host_id: str | None = None, agent_id: str | None = None
    ) -> list[AgentRecord]:
        """Return the agents that have ever asked for an approval, or with `pending` that wait for one."""

    async def asked(self, reference: str) -> list[AgentRecord]:
        """Return the agents with an approval whose id begins with `reference`, with or without `ap-`."""

    async def live_of(self, host_id: str) -> list[AgentRecord]:
        """Return the agents of a host that have not ended."""

    async def rosters(self, host_id: str | None = None) -> dict[str, list[RosterEntry]]:
        """Return the agents that have not ended by host, of all hosts or of one."""

    async def mark_delivered(self, ids: Sequence[str], at: int) -> None: ...

    async def delete(self, ids: Sequence[str]) -> None: ...

    async def ended_before(self, at: int, limit: int) -> list[str]: ...


class Hosts(Protocol):
    async def all(self) -> list[HostRecord]: ...

    async def put(self, record: HostRecord) -> None:
        """Insert or replace by id; the `last_seq` of a known host is kept."""

    async def beats(self, records: Sequence[HostRecord]) -> None:
        """Store what heartbeats changed (last seen, skew, load) of hosts that are known."""

    async def last_seq(self, host_id: str) -> int: ...

    async def set_last_seq(self, host_id: str, seq: int) -> None: ...

    async def delete(self, host_id: str) -> None: ...


class Commands(Protocol):
    async def add(self, command: NewCommand) -> int:
        """Store a command and return its id, which is higher than every earlier one's."""

    async def get(self, command_id: int) -> CommandRecord | None: ...

    async def pending(self, host_id: str, after: int) -> list[CommandRecord]:
        """Return the host's unsettled commands with a higher id than `after`, by id."""

    async def of_agent(self, agent_id: str) -> list[CommandRecord]:
        """Return the unsettled commands that concern an agent, by id."""

    async def unplaced(self) -> list[CommandRecord]:
        """Return the spawns that wait for a host, by id."""

    async def overdue(self, at: int) -> list[CommandRecord]:
        """Return the undelivered spawns whose deadline is at or before `at`."""

    async def next_deadline(self) -> int | None: ...

    async def mark_delivered(self, ids: Sequence[int], at: int) -> None: ...

    async def settle(self, command_id: int, state: str, outcome: Mapping[str, Any], at: int) -> None:
        """Settle a command and erase its payload."""

    async def delete(self, ids: Sequence[int]) -> None: ...

    async def prune(self, settled_before: int, expired_before: int) -> None: ...


class Events(Protocol):
    async def append(self, drafts: Sequence[EventDraft], keep: int) -> None:
        """Add to the log and drop what is beyond its last `keep` entries (a few more may stay)."""

    async def head(self) -> int:
        """Return the id of the newest event there ever was, 0 if there was none."""

    async def trimmed(self) -> int:
        """Return the highest id that has been dropped, 0 if none has."""

    async def page(
        self, after: int, *, agent_id: str | None, orchestrator_id: str | None, limit: int
    ) -> list[Event]: ...


class Tokens(Protocol):
    async def all(self) -> list[TokenRecord]: ...

    async def put(self, record: TokenRecord) -> None:
        """Insert or replace by name."""

    async def used(self, times: Mapping[str, int]) -> None: ...

    async def delete(self, names: Iterable[str]) -> None: ...


class Transaction(Protocol):
    """All nouns as of one moment; what a writing one changed is stored whole or not at all."""

    @property
    def agents(self) -> Agents: ...

    @property
    def hosts(self) -> Hosts: ...

    @property
    def commands(self) -> Commands: ...

    @property
    def events(self) -> Events: ...

    @property
    def tokens(self) -> Tokens: ...


class Store(Protocol):
    """Every call raises `StorageUnavailable` or `StorageFull` when the database cannot do it."""

    def reading(self) -> AbstractAsyncContextManager[Transaction]: ...

    def writing(self) -> AbstractAsyncContextManager[Transaction]:
        """One writer at a time, over all processes; on disk when the block has been left.

        That events become visible in the order of their ids, and that a rule may read before it
        writes, both rest on it. Never wait for a client inside the block.
        """

    async def check(self) -> tuple[str, str]:
        """Run a real query. Return `ok`, `warn` or `fail`, and a detail."""

    async def scrub(self) -> None:
        """Make sure that erased payloads are gone from the files too, as far as the database can."""

    async def close(self) -> None: ...


class Wakeups(Protocol):
    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return True once the topic was published since the last return; False at the timeout
        and, at once, when the bus has been closed."""


class Bus(Protocol):
    """Wake-ups without content: who is woken looks into the store, so none can be lost to a race."""

    def publish(self, topic: str) -> None: ...

    def subscribe(self, topic: str) -> AbstractContextManager[Wakeups]: ...

    def check(self) -> tuple[str, str]: ...

    @property
    def closed(self) -> bool: ...

    def close(self) -> None:
        """Wake everybody for the last time: the relay is going down."""
