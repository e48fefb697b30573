"""The managed agent: what is asked for, and what is known of it."""

from __future__ import annotations

import enum
from typing import Any

from relay.wire.approvals import Approval
from relay.wire.base import Wire
from relay.wire.ends import Cause, CauseKind, ExitFacts
from relay.wire.windows import Window

__all__ = [
    "ENDED",
    "Activity",
    "Cause",
    "CauseKind",
    "ExitFacts",
    "ManagedAgent",
    "Mode",
    "Placement",
    "Presence",
    "SpawnRequest",
    "SpawnResponse",
    "Status",
    "Usage",
]


class Status(enum.StrEnum):
    """Where an agent is in its life. The rules between them: `orchestrator/agents/state.py`."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    LOST = "lost"
    REJECTED = "rejected"


ENDED: frozenset[Status] = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT, Status.LOST, Status.REJECTED}
)


class Presence(enum.StrEnum):
    """Whether anybody can vouch for the agent now; derived from its host's lease, never stored.

    `live`: its host is online and reports it. `unknown`: its host is offline. `none`: there is no
    process, because it has not been started yet or has ended.
    """

    LIVE = "live"
    UNKNOWN = "unknown"
    NONE = "none"


class Mode(enum.StrEnum):
    HEADLESS = "headless"
    EMBEDDED = "embedded"
    TERMINAL = "terminal"
    IN_PROCESS = "in_process"

    @property
    def on_pty(self) -> bool:
        """Whether the program runs in a terminal that its keeper holds; `terminal` adds a window to it."""
        return self in (Mode.EMBEDDED, Mode.TERMINAL)


class Activity(enum.StrEnum):
    BUSY = "busy"
    IDLE = "idle"
    WAITING_INPUT = "waiting_input"
    BLOCKED = "blocked"
    NO_SIGNAL = "no_signal"


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens of the whole run so far, as its CLI counts them; None: it does not say.

    `inputTokens` includes `cachedInputTokens`. `contextUsed` of `contextWindow` tokens hold the
    conversation as the model last saw it.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    context_used: int | None = None
    context_window: int | None = None


class ManagedAgent(Wire, frozen=True, kw_only=True):
    """One spawned program, as its host knows it (the relay mirrors).

    All times but `receivedAt` are the host's own clock; `receivedAt` is the relay's when it last
    heard. `reason` says why a queued agent waits and `deadlineAt` until when. `title` is the start
    of the prompt or the argv, at most 200 characters. `envKeys` are names; values are never shown.
    `size` (`rows`, `columns`) is that of the terminal it was started in; None: it has none.

    What its CLI says of the run: `model`, `result` (the last answer), `error`, `turns` (answers of the
    model), `toolCalls`, `usage` and `costUsd` so far. `attention` says in words what somebody should look
    at, while it is so. `conversation`: it takes further messages between its turns. `approvals` holds
    what it asks and has asked, at most 20, newest last. `resumedFrom` is the agent whose conversation it
    goes on with, `restartedAs` the one that was started in its place after it had ended, and `restarts`
    how many such there were before it. `restartAt` is when one is going to be, unless it is stopped or
    forgotten before; of a conversation, when it goes on by itself after a rate limit. `window` is the
    native window that was opened for it last.
    """

    id: str
    status: Status
    provider: str
    mode: Mode
    created_at: int
    orchestrator_id: str | None = None
    cause: Cause | None = None
    exit: ExitFacts | None = None
    pid: int | None = None
    presence: Presence = Presence.NONE
    presence_since: int | None = None
    activity: Activity | None = None
    activity_source: str | None = None
    activity_at: int | None = None
    attention: str | None = None
    cwd: str | None = None
    label: str | None = None
    title: str = ""
    approval_mode: str = "guarded"
    model: str | None = None
    result: str | None = None
    error: str | None = None
    turns: int = 0
    tool_calls: int = 0
    usage: Usage | None = None
    cost_usd: float | None = None
    conversation: bool = False
    approvals: list[Approval] = []
    provider_session_id: str | None = None
    resumed_from: str | None = None
    restarted_as: str | None = None
    restarts: int = 0
    restart_at: int | None = None
    started_at: int | None = None
    ready_at: int | None = None
    stopping_at: int | None = None
    ended_at: int | None = None
    updated_at: int = 0
    received_at: int | None = None
    reason: str | None = None
    deadline_at: int | None = None
    timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    max_turns: int | None = None
    max_cost_usd: float | None = None
    memory_bytes: int | None = None
    cpus: float | None = None
    size: dict[str, int] | None = None
    window: Window | None = None
    restart: str = "never"
    on_rate_limit: str = "fail"
    leftovers: str = "end"
    parent_id: str | None = None
    requested_by: str | None = None
    idempotency_key: str | None = None
    env_keys: list[str] = []
    tags: list[str] = []
    capabilities: list[str] = []

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Placement(Wire, frozen=True, kw_only=True):
    """Which hosts may take a spawn: those with every one of these labels and the provider installed."""

    labels: dict[str, str] = {}
    provider: str | None = None


class SpawnRequest(Wire, frozen=True, kw_only=True):
    """A request to start one agent. Give `argv` for the provider `command`, else `prompt`.

    `stdin` (or `stdinBase64` for bytes) is what a `command` reads before end of file; with
    `stdinLive` the pipe stays open for input. `queueTimeoutMs` is how long the spawn may wait for
    a host. The same `idempotencyKey` from the same caller returns the same agent. `agentId` may be
    given by a caller that must know the id before anything runs (`ag-` and 12 hex digits).

    In mode `embedded` the program gets a terminal of `size` (`rows`, `columns`; 24 × 80 if not given) and
    `argv` or `prompt` may both be left out for a provider: then its own interface opens. `sizing` says whose
    size counts while viewers are attached: `active` (who typed or attached last) or `smallest`.

    Mode `terminal` also opens a native window on its host's desktop: in `terminal` (a name, or an argv with
    `{command}`), as a `tab` where it can, with `hold` and `onWindowClose` as in `Window`. Where none opens,
    `terminalFallback` is `embedded`, or `error`: then no other terminal is tried either. `desktop` are the
    caller's own variables of display and terminal, if it asks on that host.

    `memoryBytes` and `cpus` (2.5 = two and a half cores) limit the whole tree.

    `conversation` asks for a headless run that takes further messages until it is told to finish. `ask`
    says whether somebody answers what it asks approval for (None: as its host is set up); otherwise, and
    when nobody has answered within `approvalTimeoutMs`, it is denied. `resume` names an ended agent (id,
    prefix or label) whose conversation it goes on with, in the same folder, at the same host; what is not
    given is as that agent had it (provider, model, `approvalMode`, label, tags), but `mode` and `env`.
    `approvalMode` is else `guarded`.
    `maxTurns` (answers of the model), `maxCostUsd` and `idleTimeoutMs` (without a sign of work) end it.
    `restart` (`never`, `on-failure`, `always`) starts another in its place, `restartLimit` times at most;
    `onRateLimit` is `fail`, or `resume` to go on when the limit resets.
    """

    provider: str = "command"
    mode: Mode = Mode.HEADLESS
    orchestrator_id: str | None = None
    placement: Placement | None = None
    prompt: str | None = None
    argv: list[str] | None = None
    stdin: str | None = None
    stdin_base64: str | None = None
    stdin_live: bool = False
    cwd: str | None = None
    label: str | None = None
    approval_mode: str | None = None
    model: str | None = None
    env: dict[str, str] = {}
    timeout_ms: int | None = None
    queue_timeout_ms: int | None = None
    idle_timeout_ms: int | None = None
    max_turns: int | None = None
    max_cost_usd: float | None = None
    conversation: bool = False
    ask: bool | None = None
    approval_timeout_ms: int | None = None
    resume: str | None = None
    restart: str = "never"
    restart_limit: int | None = None
    on_rate_limit: str = "fail"
    leftovers: str = "end"
    worktree: str | None = None
    agent_definition: str | None = None
    workflow: str | None = None
    parent_id: str | None = None
    idempotency_key: str | None = None
    agent_id: str | None = None
    tags: list[str] = []
    capabilities: list[str] = []
    notify: Any = None
    memory_bytes: int | None = None
    cpus: float | None = None
    size: dict[str, int] | None = None
    sizing: str = "active"
    terminal: str | None = None
    tab: bool = False
    hold: str | None = None
    on_window_close: str | None = None
    terminal_fallback: str | None = None
    desktop: dict[str, str] = {}

    @property
    def approval(self) -> str:
        """The approval mode that was asked for, or the one that goes without asking."""
        return self.approval_mode or "guarded"


class SpawnResponse(Wire, frozen=True, kw_only=True):
    """`created` is false when the idempotency key named an agent that was already there."""

    agent: ManagedAgent
    created: bool = True
