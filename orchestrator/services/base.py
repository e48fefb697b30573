"""What a service is, whatever the system calls it, and running the system's own commands."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Protocol

from relay.wire.home import Home
from relay.wire.private import read_text, write_private

__all__ = [
    "Manager",
    "Program",
    "ServiceError",
    "State",
    "ask",
    "check_own",
    "chosen",
    "foreground",
    "refresh",
]

MODULE = "orchestrator.cli.main"

ANSWER_S = 150.0
"""systemd gives a service 90 seconds to end."""


class ServiceError(Exception):
    """What starts services here did not do it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a service runs: it stays in the foreground. `home` is None where nobody has chosen one."""

    argv: tuple[str, ...]
    home: str | None
    log: str


def chosen(home: Home) -> str | None:
    """The folder by which this home was chosen, if anybody has."""
    return home.state if os.environ.get("MUSTER_HOME") else None


def foreground(home: Home, python: str = sys.executable) -> Program:
    """`muster up` of this home. -P: what lies in the folder that it is started in is none of its modules."""
    home.prepare()
    os.makedirs(home.logs, mode=0o700, exist_ok=True)
    return Program(
        argv=(python, "-P", "-m", MODULE, "up"),
        home=chosen(home),
        log=os.path.join(home.logs, "service.out"),
    )


@dataclass(frozen=True, slots=True)
class State:
    """`running` is None where the system only starts it and does not know what has become of it. `home` is
    the MUSTER_HOME of what is installed: empty if it has none, None if nobody can tell."""

    installed: bool
    enabled: bool
    running: bool | None = None
    pid: int | None = None
    home: str | None = None


class Manager(Protocol):
    """A module for each. All calls raise `ServiceError`; `state` at once where there is no such manager, and
    what changes something where somebody else has written down a service of that name."""

    def place(self) -> str:
        """Where it is written down what is to be started."""

    def install(self, program: Program) -> None:
        """Start `program` now and at each login; one that runs goes on unless it was another one."""

    def uninstall(self) -> None:
        """End it where `running` can be told, and start it no more. Nothing to do is fine."""

    def state(self) -> State:
        """What is so now."""


def ask(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the system's and return what it said, well or not. Raises `ServiceError`."""
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
            check=False,
        )
    except OSError as error:
        return subprocess.CompletedProcess(argv, 127, "", f"{argv[0]}: {error.strerror}")  # as a shell
    except subprocess.TimeoutExpired:
        raise ServiceError(f"`{' '.join(argv)}` has not ended within {ANSWER_S:g} s") from None


def refresh(path: str, text: str) -> bool:
    """Let `path` hold `text`, in one step; return whether it was something else."""
    with contextlib.suppress(OSError, ValueError):
        if read_text(path) == text:
            return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_private(path, text)
    return True


def check_own(path: str) -> None:
    """Raise `ServiceError` if what is written there is none of ours."""
    try:
        own = MODULE in read_text(path)
    except FileNotFoundError:
        return
    except ValueError:
        own = False
    if not own:
        raise ServiceError(
            f"{path} was not written by `muster service`, so it stays; move it elsewhere first"
        )
