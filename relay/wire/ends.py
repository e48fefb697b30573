"""How an agent ends: the verdict's cause, and what the operating system said."""

from __future__ import annotations

import enum

from relay.wire.base import Wire

__all__ = ["Cause", "CauseKind", "ExitFacts"]


class CauseKind(enum.StrEnum):
    EXIT = "exit"
    SIGNAL = "signal"
    OOM = "oom"
    EXEC_FAILED = "exec_failed"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    REJECTED = "rejected"
    KEEPER_KILLED = "keeper_killed"
    HOST_REBOOT = "host_reboot"
    DISK = "disk"
    UNKNOWN = "unknown"


class Cause(Wire, frozen=True, kw_only=True):
    """Why an agent ended, with the evidence. `by` names who stopped it; `outputTail` is its last output."""

    kind: CauseKind
    message: str
    exit_code: int | None = None
    signal: int | None = None
    errno: int | None = None
    by: str | None = None
    output_tail: str | None = None


class ExitFacts(Wire, frozen=True, kw_only=True):
    """How the program itself ended, kept beside the verdict (a stopped agent may have exited 0).

    `stage` is the last rung of the stop ladder that was needed: interrupt, terminate or kill.
    """

    at: int
    exit_code: int | None = None
    signal: int | None = None
    stage: str | None = None
    killed: list[str] = []
    survivors: list[str] = []
    leftovers: list[str] = []
    output_bytes: int = 0
    dropped_bytes: int = 0
    max_rss_bytes: int = 0
    cpu_ms: int = 0
