"""What the store keeps, as values: one record a noun."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from relay.wire.agents import ManagedAgent
from relay.wire.commands import CommandBody
from relay.wire.events import Event
from relay.wire.health import Scope, Token
from relay.wire.orchestrators import HostStatus, Load, Registration

__all__ = [
    "AgentRecord",
    "CommandRecord",
    "CommandState",
    "EventDraft",
    "HostRecord",
    "NewCommand",
    "TokenRecord",
]


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as last known. `agent` is what its host reported, or the relay's own words until then.

    `stored_at` and `ended_at` are the relay's clock. `delivered_at` is when its spawn command was
    handed to the host's stream; `confirmed` that the host has spoken of the agent at least once.
    """

    agent: ManagedAgent
    stored_at: int
    caller: str | None = None
    delivered_at: int | None = None
    confirmed: bool = False
    ended_at: int | None = None

    @property
    def id(self) -> str:
        return self.agent.id

    @property
    def host_id(self) -> str | None:
        return self.agent.orchestrator_id


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host as last known. `changed_at` is when it last went on- or offline, `last_seq` the last
    report taken from the outbox of state directory `facts.state_id`."""

    facts: Registration
    epoch: int
    online: bool
    draining: bool
    changed_at: int
    last_seen: int
    created_at: int
    last_seq: int = 0
    skew_ms: int = 0
    load: Load = field(default_factory=Load)

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def status(self) -> HostStatus:
        if not self.online:
            return HostStatus.OFFLINE
        return HostStatus.DRAINING if self.draining else HostStatus.ONLINE

    @property
    def providers(self) -> list[str]:
        return [provider.name for provider in self.facts.capabilities if provider.installed]

    def turned(self, *, online: bool, at: int) -> HostRecord:
        """Return this host, on- or offline since `at`."""
        return replace(self, online=online, changed_at=at)


class CommandState:
    """`PENDING` until the host has settled it for good with one of the other two."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command to store. Without `host_id` it is a spawn that waits for a host until `deadline_at`."""

    body: CommandBody
    created_at: int
    host_id: str | None = None
    expires_at: int | None = None
    deadline_at: int | None = None
    delivered_at: int | None = None


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command as stored; `body` is None once it was settled, for its payload is then erased."""

    id: int
    kind: str
    state: str
    created_at: int
    host_id: str | None
    agent_id: str | None
    body: CommandBody | None
    expires_at: int | None = None
    deadline_at: int | None = None
    delivered_at: int | None = None
    outcome: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before the log has numbered it."""

    type: str
    at: int
    received_at: int
    orchestrator_id: str | None
    agent_id: str | None
    data: dict[str, Any]

    def numbered(self, number: int) -> Event:
        return Event(
            id=number,
            type=self.type,
            at=self.at,
            received_at=self.received_at,
            orchestrator_id=self.orchestrator_id,
            agent_id=self.agent_id,
            data=self.data,
        )


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token; of the secret only its SHA-256 (hex) is kept."""

    name: str
    hash: str
    scope: Scope
    created_at: int
    bound_to: str | None = None
    label: str | None = None
    expires_at: int | None = None
    last_used_at: int | None = None

    @property
    def public(self) -> Token:
        return Token(
            name=self.name,
            scope=self.scope,
            created_at=self.created_at,
            id=self.bound_to,
            label=self.label,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
        )
