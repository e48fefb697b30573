"""Looking at processes from tests: is it running, and waiting for what has no event."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from spawners import _os

AGENT = str(Path(__file__).with_name("agent.py"))
PYTHON = os.path.realpath(sys.executable)
"""The interpreter behind a virtual environment's link: it starts faster, and `-S` needs no packages."""


def agent_argv(*steps: str) -> tuple[str, ...]:
    """The command line of a scripted agent (see `agent.py`)."""
    return (PYTHON, "-I", "-S", AGENT, *steps)


def is_running(pid: int) -> bool:
    """Whether `pid` lives; a zombie does not."""
    if os.name == "nt":
        return _os.process(pid) is not None
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def living_with(text: str) -> list[int]:
    """The living processes that were executed with `text` somewhere in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and is_running(int(name)):
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(text) in environment:
                found.append(int(name))
    return found


def until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait for something no event tells of; fails with `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for: {what}")
        time.sleep(0.005)


def zombies_of(pid: int) -> list[int]:
    """Children of `pid` that have ended and were not collected."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state == "Z" and int(parent) == pid:
                found.append(int(name))
    return found
