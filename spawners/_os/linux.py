# ruff: noqa: E402
import sys

assert sys.platform == "linux"

"""Process facts from /proc, signals through pidfds."""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable

from spawners._os.facts import Process

__all__ = [
    "boot_id",
    "fork_is_safe",
    "has_mark",
    "on_exit",
    "process",
    "processes",
    "script_kind",
    "send_signal",
]

fork_is_safe = True
"""Whether a process with one thread that has loaded nothing but C modules may fork and go on."""

script_kind = "sh"
"""Which kind of script a window executes; see `terminals/script.py`."""


def boot_id() -> str:
    """Changes with every start of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def process(pid: int) -> Process | None:
    """The process with this number, or None. `started` is field 22 of its stat: ticks since boot."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    close = data.rindex(b")")  # a name may hold spaces and parentheses
    fields = data[close + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
        name=data[data.index(b"(") + 1 : close].decode("utf-8", "replace"),
        zombie=fields[0] in (b"Z", b"X"),
        halted=fields[0] == b"T",
    )


def processes() -> list[Process]:
    """Everything that runs, zombies included."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [item for item in found if item is not None]


def has_mark(pid: int, mark: str) -> bool | None:
    """Whether the environment the process was executed with holds exactly `mark` (`NAME=value`).

    None while that cannot be told: it is being executed at this moment.
    """
    path = f"/proc/{pid}/environ"
    try:
        words = _read(path)
        if not words and _is_being_executed(pid):
            return None
        return os.fsencode(mark) in (words or _read(path)).split(b"\0")
    except OSError:
        return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _is_being_executed(pid: int) -> bool:
    """Whether the new program is in place and its environment is not.

    The kernel wakes the parent of a vfork, and closes the close-on-exec files, before it lays out the
    environment (`begin_new_exec` comes before `create_elf_tables`): for some ten microseconds, longer on a
    busy machine, the process exists without one. Fields 23 and 51 of its stat, vsize and env_end, tell
    that from an environment that is empty (env_end is set) and from a kernel thread (vsize is 0).
    """
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[20] != b"0" and fields[48] == b"0"


def send_signal(target: Process, number: int) -> bool:
    """Signal exactly `target`; False if it is gone or not ours. A reused number is never signalled."""
    try:
        pidfd = os.pidfd_open(target.pid)
    except OSError as error:
        return error.errno == errno.ENOSYS and _send_without_pidfd(target, number)
    try:
        now = process(target.pid)
        if now is None or now.started != target.started or now.zombie:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def _send_without_pidfd(target: Process, number: int) -> bool:
    """Linux before 5.3: the window between look and signal is microseconds, a pid returns after seconds."""
    now = process(target.pid)
    if now is None or now.started != target.started:
        return False
    with contextlib.suppress(OSError):
        os.kill(target.pid, number)
        return True
    return False


def on_exit(pid: int, callback: Callable[[], None]) -> None:
    """Call `callback` once from the running loop when `pid` has ended; a child must be unreaped."""
    loop = asyncio.get_running_loop()
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # before Linux 5.3, or out of file descriptors: look again later
        loop.call_later(1.0, callback)
        return

    def ended() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        callback()

    loop.add_reader(pidfd, ended)
