"""What may be asked of a running agent, beside what concerns its terminal."""

from __future__ import annotations

from typing import Any

from relay.wire.base import Wire

__all__ = [
    "ChangeRequest",
    "HookReport",
    "InputRequest",
    "InputResult",
    "SignalRequest",
    "StopRequest",
]


class StopRequest(Wire, frozen=True, kw_only=True):
    """`graceMs` is the time between terminate and kill; `kill` skips straight to killing the tree.

    With `finish` nothing is signalled: a conversation takes no further message and ends after its turn. Of
    an agent that has ended, stopping it means that no other is started in its place.
    """

    grace_ms: int | None = None
    kill: bool = False
    finish: bool = False
    by: str | None = None


class SignalRequest(Wire, frozen=True, kw_only=True):
    """`signal` is a name (`SIGUSR1`, `USR1`) or a number, sent to the agent's process group."""

    signal: str | int


class ChangeRequest(Wire, frozen=True, kw_only=True):
    """Go on with another model or approval mode; what is None stays."""

    model: str | None = None
    approval_mode: str | None = None


class HookReport(Wire, frozen=True, kw_only=True):
    """One message of the CLI's own hooks, as the CLI wrote it; `at` is when (epoch milliseconds)."""

    payload: dict[str, Any]
    at: int = 0


class InputRequest(Wire, frozen=True, kw_only=True):
    """Bytes for the agent's stdin: `text` or `base64`; `newline` appends one; `eof` closes it after.

    For an agent in a terminal they are keys as they are, `newline` is Enter and `eof` the end-of-file key.
    """

    text: str | None = None
    base64: str | None = None
    newline: bool = False
    eof: bool = False
    timeout_ms: int = 10_000


class InputResult(Wire, frozen=True, kw_only=True):
    """`receipt`: `written` means that the kernel took every byte; `partial` that only `bytes` went in."""

    receipt: str
    bytes: int
