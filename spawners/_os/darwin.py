# ruff: noqa: E402
import sys

assert sys.platform == "darwin"

"""Process facts from psutil and sysctl, exits through kqueue. Never yet run on a Mac."""

import asyncio
import os
import select
import subprocess
from collections.abc import Callable

import psutil

from spawners._os.facts import Process

__all__ = ["boot_id", "has_mark", "on_exit", "process", "processes", "script_kind", "send_signal"]

script_kind = "command"
"""Which kind of script a window executes; see `terminals/script.py`."""


def boot_id() -> str:
    """Changes with every start of the machine."""
    return subprocess.run(
        ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=True
    ).stdout.strip()


def process(pid: int) -> Process | None:
    """The process with this number, or None. `started` is in microseconds since the epoch."""
    try:
        found = psutil.Process(pid)
        with found.oneshot():
            return Process(
                pid=pid,
                parent=found.ppid(),
                group=os.getpgid(pid),
                session=os.getsid(pid),
                started=round(found.create_time() * 1_000_000),
                name=found.name(),
                zombie=found.status() == psutil.STATUS_ZOMBIE,
                halted=found.status() == psutil.STATUS_STOPPED,
            )
    except (psutil.Error, OSError):
        return None


def processes() -> list[Process]:
    """Everything that runs and may be looked at, zombies included."""
    found = (process(pid) for pid in psutil.pids())
    return [item for item in found if item is not None]


def has_mark(pid: int, mark: str) -> bool | None:
    """Whether the environment the process was executed with holds exactly `mark` (`NAME=value`)."""
    name, _, value = mark.partition("=")
    try:
        return psutil.Process(pid).environ().get(name) == value
    except (psutil.Error, OSError):
        return False


def send_signal(target: Process, number: int) -> bool:
    """Signal `target`; False if it is gone or not ours. macOS has no pidfd: looked up right before."""
    now = process(target.pid)
    if now is None or now.started != target.started or now.zombie:
        return False
    try:
        os.kill(target.pid, number)
    except OSError:
        return False
    return True


def on_exit(pid: int, callback: Callable[[], None]) -> None:
    """Call `callback` once from the running loop when the child `pid` has ended."""
    loop = asyncio.get_running_loop()
    queue = select.kqueue()
    event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)

    def ended() -> None:
        loop.remove_reader(queue.fileno())
        queue.close()
        callback()

    try:
        queue.control([event], 0)
    except ProcessLookupError:  # it has ended already
        queue.close()
        loop.call_soon(callback)
        return
    loop.add_reader(queue.fileno(), ended)
