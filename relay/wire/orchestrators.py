"""The orchestrator of a host: registration, heartbeat, roster and reports."""

from __future__ import annotations

import enum
from typing import Any

from relay.wire.agents import ManagedAgent, Presence, Status
from relay.wire.base import PROTOCOL, Wire
from relay.wire.windows import DesktopInfo, TerminalInfo

__all__ = [
    "AckClass",
    "Action",
    "ActionRequest",
    "Fence",
    "Heartbeat",
    "HeartbeatReply",
    "HostStatus",
    "Load",
    "Orchestrator",
    "ProviderInfo",
    "Registration",
    "RegistrationReply",
    "Report",
    "ReportAck",
    "ReportBatch",
    "ReportReply",
    "Roster",
    "RosterEntry",
]


class HostStatus(enum.StrEnum):
    ONLINE = "online"
    DRAINING = "draining"
    OFFLINE = "offline"


class ProviderInfo(Wire, frozen=True, kw_only=True):
    """A provider's CLI as found on this host; `path` is None when it is not installed.

    `abilities` are what its adapter can do beyond running a prompt, `proven` the version that the adapter
    was run with, `source` where the adapter is from: `builtin`, or a file or package of the host's owner.
    `secrets` are the names of variables that hold its keys, `keys` those of them that the host has.
    """

    name: str
    path: str | None = None
    version: str | None = None
    modes: list[str] = []
    approval_modes: list[str] = []
    abilities: list[str] = []
    proven: str | None = None
    source: str = "builtin"
    secrets: list[str] = []
    keys: list[str] = []
    note: str | None = None

    @property
    def installed(self) -> bool:
        return self.path is not None


class Load(Wire, frozen=True, kw_only=True):
    """`running` counts agents that have not ended; memory in bytes, the load average over one minute."""

    running: int = 0
    cpus: int = 0
    load_average: float = 0.0
    memory_available: int = 0
    memory_total: int = 0


class RosterEntry(Wire, frozen=True, kw_only=True):
    """One agent in a host's JSON, short."""

    id: str
    status: Status
    provider: str
    label: str | None = None
    presence: Presence = Presence.NONE


class Orchestrator(Wire, frozen=True, kw_only=True):
    """A host. `agentId` is its participant on the message bus; `managedAgents` those not yet ended.

    `clockSkewMs` is the host's clock minus the relay's, measured at each heartbeat. `terminals` and
    `desktop` are what it had when it last looked; asked directly, what it has now.
    """

    id: str
    hostname: str
    status: HostStatus
    agent_id: str
    providers: list[str] = []
    base_dir: str | None = None
    env_keys: list[str] = []
    meta: dict[str, Any] = {}
    managed_agents: list[RosterEntry] = []
    last_seen: int = 0
    created_at: int = 0
    offline_since: int | None = None
    instance_id: str = ""
    epoch: int = 0
    os: str = ""
    arch: str = ""
    version: str = ""
    capabilities: list[ProviderInfo] = []
    terminals: list[TerminalInfo] = []
    desktop: DesktopInfo = DesktopInfo()
    labels: dict[str, str] = {}
    max_agents: int = 0
    load: Load = Load()
    clock_skew_ms: int = 0


class Fence(Wire, frozen=True, kw_only=True):
    """What every call of a registered host carries: a pair that is not the newest is refused."""

    instance_id: str
    epoch: int


class Registration(Wire, frozen=True, kw_only=True):
    """`POST /api/orchestrators`.

    `instanceId` is new at every start of the daemon. `stateId` belongs to its state directory,
    which only one daemon can hold: the same `stateId` means a restart, another one while the lease
    runs means a second host of the same name, which is refused unless `takeOver`.
    """

    id: str
    hostname: str
    instance_id: str
    state_id: str
    protocol: int = PROTOCOL
    take_over: bool = False
    os: str = ""
    arch: str = ""
    version: str = ""
    boot_id: str = ""
    capabilities: list[ProviderInfo] = []
    terminals: list[TerminalInfo] = []
    desktop: DesktopInfo = DesktopInfo()
    labels: dict[str, str] = {}
    base_dir: str | None = None
    env_keys: list[str] = []
    max_agents: int = 0
    load: Load = Load()
    meta: dict[str, Any] = {}
    sent_at: int = 0


class RegistrationReply(Wire, frozen=True, kw_only=True):
    orchestrator: Orchestrator
    epoch: int
    heartbeat_interval_ms: int
    lease_ms: int
    protocol: int = PROTOCOL
    server_time: int = 0


class Heartbeat(Fence, frozen=True, kw_only=True):
    """`sentAt` is the host's clock; `rttMs` the last round trip it measured, to correct the skew.

    `agents` are the ids of those that `load` counts; None from an older host, which does not tell.
    `capabilities`, `terminals` and `desktop` are sent only when they changed since the last call that was
    answered.
    """

    sent_at: int = 0
    rtt_ms: int = 0
    load: Load = Load()
    agents: list[str] | None = None
    draining: bool = False
    capabilities: list[ProviderInfo] | None = None
    terminals: list[TerminalInfo] | None = None
    desktop: DesktopInfo | None = None


class HeartbeatReply(Wire, frozen=True, kw_only=True):
    heartbeat_interval_ms: int
    lease_ms: int
    server_time: int
    clock_skew_ms: int = 0
    roster_wanted: bool = False


class Roster(Fence, frozen=True, kw_only=True):
    """`PUT …/managed-agents`: every agent the host knows; what the relay knows beyond it is lost.

    With `takenAt` (host clock) agents whose last word is younger than that are left alone.
    """

    agents: list[ManagedAgent]
    taken_at: int = 0


class Report(Wire, frozen=True, kw_only=True):
    """One entry of the host's outbox: the agent as it was after `kind` happened at `at` (host clock)."""

    seq: int
    at: int
    kind: str
    agent: ManagedAgent
    token_hash: str | None = None


class ReportBatch(Fence, frozen=True, kw_only=True):
    """Reports in ascending `seq`; the relay takes each at most once."""

    reports: list[Report]


class AckClass(enum.StrEnum):
    """`retry`: not stored, send this and all that follow again. The others settle the entry for good."""

    COMMITTED = "committed"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    RETRY = "retry"


class ReportAck(Wire, frozen=True, kw_only=True):
    seq: int
    ack: AckClass
    message: str | None = None


class ReportReply(Wire, frozen=True, kw_only=True):
    acks: list[ReportAck]


class Action(enum.StrEnum):
    DRAIN = "drain"
    UNDRAIN = "undrain"
    RESTART = "restart"
    SHUTDOWN = "shutdown"
    UPGRADE = "upgrade"


class ActionRequest(Wire, frozen=True, kw_only=True):
    """What to do to a host; agents keep running unless `stopAgents`."""

    action: Action
    stop_agents: bool = False
