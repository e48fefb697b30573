# ruff: noqa: E402
import sys

assert sys.platform == "darwin"

"""Process facts from libproc and sysctl, exits through kqueue. Never yet run on a Mac.

Not from psutil: its `create_time` moves when the clock of a machine that runs is set (`psutil._psosx`),
and a process that has got another start time would count as gone. What the kernel noted stays.
"""

import asyncio
import contextlib
import os
import pwd
import select
from collections.abc import Callable

from spawners._os.facts import Process
from spawners.keeper import libproc

__all__ = [
    "boot_id",
    "has_mark",
    "keeper_modules",
    "on_exit",
    "process",
    "processes",
    "script_kind",
    "send_signal",
    "session_variables",
]

keeper_modules = ("libproc", "lineage")
"""What a keeper loads here beside what it loads everywhere."""
_USER_TEMPORARY = 65537
"""`_CS_DARWIN_USER_TEMP_DIR` of <unistd.h>: what launchd sets TMPDIR to."""
script_kind = "command"
"""Which kind of script a window executes; see `terminals/script.py`."""


def boot_id() -> str:
    """Changes with every start of the machine."""
    return libproc.boot_id()


def process(pid: int) -> Process | None:
    """The process with this number, or None. `started` is in microseconds since the epoch."""
    try:
        return _process(libproc.Entry(pid))
    except OSError:
        return None


def processes() -> list[Process]:
    """Everything that runs and may be looked at, zombies included."""
    return [_process(entry) for entry in libproc.everyone()]


def _process(entry: libproc.Entry) -> Process:
    return Process(
        pid=entry.pid,
        parent=entry.parent,
        group=entry.group,
        session=entry.session,
        started=entry.started,
        name=entry.name,
        zombie=entry.state == "Z",
        halted=entry.state == "T",
    )


def has_mark(pid: int, mark: str) -> bool | None:
    """Whether the environment the process was executed with holds exactly `mark` (`NAME=value`).

    False too where that is not told: of the programs of the system, which macOS protects.
    """
    try:
        return libproc.has_mark(pid, os.fsencode(mark))
    except OSError:
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
    """Call `callback` once from the running loop when `pid` has ended; it need not be a child."""
    loop = asyncio.get_running_loop()
    try:
        queue = select.kqueue()
    except OSError:  # out of file descriptors: look again later
        loop.call_later(1.0, callback)
        return

    def ended() -> None:
        loop.remove_reader(queue.fileno())
        queue.close()
        callback()

    event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
    try:
        queue.control([event], 0)
    except ProcessLookupError:  # it has ended already
        queue.close()
        loop.call_soon(callback)
    except OSError:  # another user's
        queue.close()
        loop.call_later(1.0, callback)
    else:
        loop.add_reader(queue.fileno(), ended)


def session_variables() -> dict[str, str]:
    """What a terminal's shell has and a LaunchAgent, or a login over ssh, may lack.

    Of the locale only what the characters are, and as Terminal.app names it: without, programs take
    everything for ASCII.
    """
    user = pwd.getpwuid(os.getuid())
    found = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
    with contextlib.suppress(OSError, ValueError):
        found["TMPDIR"] = os.confstr(_USER_TEMPORARY) or ""
    return {**{name: value for name, value in found.items() if value}, "LC_CTYPE": "en_US.UTF-8"}
