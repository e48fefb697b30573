"""What is told about a process; the same on every system."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Process", "keeper_modules", "session_variables"]

keeper_modules: tuple[str, ...] = ()
"""What a keeper loads on this system beside what it loads everywhere."""


def session_variables() -> dict[str, str]:
    """Variables of a user's session that a service manager does not give here: none."""
    return {}


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table, as it was when read.

    `started` tells it from a later process of the same number (see `launch.Identity`). A zombie has
    ended: it takes no signal and needs none. One that is `halted` (SIGSTOP) goes on when it gets SIGCONT.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int
    name: str
    zombie: bool = False
    halted: bool = False

    @property
    def label(self) -> str:
        return f"{self.pid} {self.name}"
