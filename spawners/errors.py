"""What can go wrong below this line, sorted by what the caller can do about it.

SpawnerError
├── SpawnFailed       nothing is running: tell the user; a new spawn may be tried
├── SessionLost       the keeper and its program are gone without an exit record: say `lost`
├── SessionBusy       the agent did not take the input in time: try again later
├── SessionTyping     a person has the keyboard: wait until they are done
├── NoTerminal        the program was started on pipes: spawn it with a terminal
└── SessionEnded      the program has already ended: read its exit instead
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "NoTerminal",
    "SessionBusy",
    "SessionEnded",
    "SessionLost",
    "SessionTyping",
    "SpawnFailed",
    "SpawnerError",
]


class SpawnerError(Exception):
    """Base of every error the spawners raise on purpose."""


@dataclass
class SpawnFailed(SpawnerError):
    """The program could not be executed; nothing of it is left running.

    `errno` is the operating system's number (None when no system call failed), `searched` the
    directories of PATH that were looked through, in order, empty when `argv[0]` held a slash.
    """

    message: str
    errno: int | None = None
    searched: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


@dataclass
class SessionLost(SpawnerError):
    """There is neither a keeper nor an exit record.

    `kind` is `keeper_killed` (the keeper is gone but this boot is the one it ran in), `host_reboot`
    (the machine has restarted since), `never_started` (a spec was written, nothing was ever
    executed) or `unknown` (the session's directory is gone or unreadable). `ended_pids` are the
    survivors of the agent's tree that were found and killed while finding this out.
    """

    kind: str
    message: str
    ended_pids: tuple[int, ...] = field(default=())

    def __str__(self) -> str:
        return self.message


class SessionBusy(SpawnerError):
    """The agent's stdin did not accept the bytes within the time given; `written` of them went in."""

    def __init__(self, message: str, written: int = 0) -> None:
        super().__init__(message)
        self.written = written


class SessionTyping(SpawnerError):
    """A person types into the agent; nothing was written. `free_in_ms` if they type no more."""

    def __init__(self, message: str, free_in_ms: int = 0) -> None:
        super().__init__(message)
        self.free_in_ms = free_in_ms


class NoTerminal(SpawnerError):
    """The agent runs on pipes, so there is no screen to look at and nothing to resize."""


class SessionEnded(SpawnerError):
    """The program has ended, so there is nothing to write to, signal or stop."""
