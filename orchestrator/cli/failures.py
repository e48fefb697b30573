"""What each kind of failure says and exits with. The one table of exit codes."""

from __future__ import annotations

import enum
import sys

from orchestrator.config import ConfigError
from relay.wire.errors import ApiError, Code

__all__ = ["CliError", "Exit", "exit_code", "explain"]


class Exit(enum.IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    TIMEOUT = 124
    """As `timeout(1)`."""
    NOT_EXECUTABLE = 126
    """As a shell, for a program that is there but cannot be executed."""
    NO_PROGRAM = 127
    """As a shell, for a program that is not there."""


_BY_CODE: dict[Code, Exit] = {
    Code.MALFORMED: Exit.USAGE,
    Code.INVALID: Exit.USAGE,
    Code.UNKNOWN_PROVIDER: Exit.USAGE,
    Code.CWD_INVALID: Exit.USAGE,
    Code.TOO_LARGE: Exit.USAGE,
    Code.AMBIGUOUS: Exit.USAGE,
    Code.NOT_FOUND: Exit.NOT_FOUND,
    Code.UNKNOWN_ORCHESTRATOR: Exit.NOT_FOUND,
    Code.HOST_OFFLINE: Exit.UNREACHABLE,
    Code.UNAVAILABLE: Exit.UNREACHABLE,
    Code.TIMEOUT: Exit.UNREACHABLE,
    Code.POLICY_REFUSED: Exit.REFUSED,
    Code.FORBIDDEN: Exit.REFUSED,
    Code.UNAUTHORIZED: Exit.REFUSED,
}
"""Every code that is not here exits with `FAILED`."""


class CliError(Exception):
    """A failure that the command found by itself; the message says what to do."""

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_code(error: Exception) -> Exit | None:
    """Return what `error` exits with, or None if it is a bug of ours."""
    from relay.wire.client import Unreachable

    if isinstance(error, CliError):
        return error.exit_code
    if isinstance(error, ApiError):
        return _BY_CODE.get(error.code, Exit.FAILED)
    if isinstance(error, Unreachable):
        return Exit.UNREACHABLE
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, OSError):
        return Exit.FAILED
    return Exit.USAGE if _undecoded(error) else None


def explain(error: Exception) -> int:
    """Print `error` as one line on stderr and return its exit code; a bug of ours is raised again."""
    code = exit_code(error)
    if code is None:
        raise error
    print(f"muster: {_undecoded(error) or error}", file=sys.stderr)
    return code


def _undecoded(error: Exception) -> str:
    """Return what to say of an argument with bytes that no JSON can hold; empty for any other failure."""
    if not isinstance(error, UnicodeEncodeError) or not "\udc80" <= error.object[error.start] <= "\udcff":
        return ""
    shown = error.object[: error.start + 1][-20:].encode("utf-8", "surrogateescape")
    return f"what ends in {shown!r} is not valid UTF-8; write it in UTF-8"
