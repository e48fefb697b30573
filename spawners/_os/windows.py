# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Process facts from the snapshot of the system, locks by sharing, keepers detached from our console."""

import asyncio
import contextlib
import ctypes
import errno
import itertools
import msvcrt
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from ctypes import wintypes

from spawners._os import shims
from spawners._os.facts import Process
from spawners.keeper.windows import api
from spawners.keeper.windows.identity import boot_id
from spawners.keeper.windows.job import job_name
from spawners.keeper.windows.system import open_file

__all__ = [
    "OwnTty",
    "address_limit",
    "boot_id",
    "collect",
    "hand_over",
    "has_job_objects",
    "has_mark",
    "is_locked",
    "lock_new",
    "number_of",
    "on_exit",
    "process",
    "processes",
    "proportional_bytes",
    "raise_file_limit",
    "remove_tree",
    "resident_bytes",
    "resolved",
    "send_signal",
    "sharing",
    "start_detached",
    "usable_cpus",
    "why_unsupported",
]

why_unsupported = ""
"""Why sessions cannot be run here; empty: they can."""

address_limit = 255
"""Of the path of a file with a port and a token: MAX_PATH, and something less."""

has_job_objects = True
"""Whether a keeper holds its agent in a job that ends with it."""

_READ, _WRITE, _SHARE_ALL, _EXISTING, _ANY = 0x80000000, 0x40000000, 7, 3, 4
_SHARING_VIOLATION, _ACCESS_DENIED = 32, 5
_JOB_QUERY, _QUERY_ALL = 4, 0x400  # PROCESS_QUERY_INFORMATION: wine wants more than Windows here
_KILL = 9
_PROCESSES = 2  # TH32CS_SNAPPROCESS
_NO_WINDOW, _BREAKAWAY = 0x08000000, 0x01000000
_ALWAYS = ("SYSTEMROOT", "TEMP", "TMP")
_REMOVE_S = 5.0
"""A file that somebody has open is not deleted; whoever has one of an agent's open closes it soon."""


# -- processes


def processes() -> list[Process]:
    """Everything that runs. The number of a parent that ended may be another's by now: that is no parent."""
    table = api.snapshot(_PROCESSES, 0)
    if table == api.INVALID:
        raise api.failure()
    try:
        entry = api.PROCESSENTRY()
        entry.size = ctypes.sizeof(entry)
        rows = []
        more = api.first_process(table, entry)
        while more:
            rows.append((entry.pid, entry.parent, entry.name, _started(entry.pid)))
            more = api.next_process(table, entry)
    finally:
        api.close_handle(table)
    began = {pid: started for pid, _, _, started in rows}
    return [
        Process(pid, parent if began.get(parent, started + 1) <= started else 0, 0, 0, started, name)
        for pid, parent, name, started in rows
    ]


def process(pid: int) -> Process | None:
    """The process with this number, or None. `started` is in 100 ns since 1601."""
    return next((item for item in processes() if item.pid == pid), None)


def _started(pid: int) -> int:
    handle = api.open_process(api.QUERY, False, pid)
    if not handle:
        return 0
    try:
        return api.started_and_used(handle)[0]
    except OSError:
        return 0
    finally:
        api.close_handle(handle)


def has_mark(pid: int, mark: str) -> bool | None:
    """Whether the process is in the job of the agent whose directory `mark` (`NAME=directory`) names."""
    job = api.open_job(_JOB_QUERY, False, job_name(mark.partition("=")[2]))
    if not job:
        return False  # it has ended with its keeper
    handle = api.open_process(_QUERY_ALL, False, pid)
    inside = wintypes.BOOL()
    try:
        return bool(handle) and bool(api.is_in_job(handle, job, inside)) and bool(inside.value)
    finally:
        api.close_handle(job)
        if handle:
            api.close_handle(handle)


def send_signal(target: Process, number: int) -> bool:
    """End exactly `target`, whatever signal was meant to; False if it is gone or not ours."""
    handle = api.open_process(api.QUERY | api.TERMINATE, False, target.pid)
    if not handle:
        return False
    try:
        if api.started_and_used(handle)[0] != target.started:
            return False
        return bool(api.terminate_process(handle, 1))
    except OSError:
        return False
    finally:
        api.close_handle(handle)


_waiting: dict[int, object] = {}
_tickets = itertools.count(1)
_Ended = ctypes.WINFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ubyte)


def on_exit(pid: int, callback: Callable[[], None]) -> None:
    """Call `callback` once from the running loop when the process has ended."""
    loop = asyncio.get_running_loop()
    handle = api.open_process(api.SYNCHRONIZE, False, pid)
    if not handle:
        loop.call_soon(callback)
        return
    ticket, wait = next(_tickets), wintypes.HANDLE()

    def collect_ticket() -> None:
        _waiting.pop(ticket, None)
        api.unregister_wait(wait, None)
        api.close_handle(handle)
        callback()

    def ended(_: int, __: int) -> None:  # in a thread of the system
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(collect_ticket)

    _waiting[ticket] = waiter = _Ended(ended)
    api.register_wait(wait, handle, waiter, None, api.INFINITE, api.ONLY_ONCE)


def collect(pid: int) -> bool:
    """True: who has ended here needs not be collected."""
    return True


# -- locks


def lock_new(path: str) -> int:
    """Open (and create) `path` so that nobody else can, and return the file that carries this lock.

    It belongs to the open file: whoever inherits that holds it on, without a gap, and it is freed when the
    last holder is gone. Raises `BlockingIOError` if it is taken.
    """
    handle = api.create_file(path, _READ | _WRITE, 0, None, _ANY, 0x80, None)
    if handle == api.INVALID:
        failure = api.failure()
        if failure.winerror == _SHARING_VIOLATION:
            raise BlockingIOError(errno.EAGAIN, "it is locked", path)
        raise failure
    return msvcrt.open_osfhandle(handle, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock of `path`. False if there is no such file."""
    handle = api.create_file(path, _READ, _SHARE_ALL, None, _EXISTING, 0x80, None)
    if handle != api.INVALID:
        api.close_handle(handle)
        return False
    failure = api.failure()
    if failure.winerror == _SHARING_VIOLATION:
        return True
    if isinstance(failure, FileNotFoundError):
        return False
    raise failure


# -- keepers


def number_of(fd: int) -> int:
    """The number by which a child that inherits this file knows it: that of its handle."""
    return msvcrt.get_osfhandle(fd)


def resolved(argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """What is to be executed instead of `argv`: what an npm shim names, and never the batch file itself.

    Raises OSError for a batch file that cmd.exe could be made to run something else by.
    """
    folders = next((value for name, value in env.items() if name.upper() == "PATH"), "")
    return shims.resolve(argv, folders, separator=";")


def start_detached(
    argv: Sequence[str], env: Mapping[str, str], *, log: str, fds: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Execute a Python program that outlives us. Raises OSError.

    It has a console of its own, which nobody sees and to which its standard files lead, and leaves our job
    if that lets it. It writes into `log` by itself.
    """
    handles = [msvcrt.get_osfhandle(fd) for fd in fds]
    for handle in handles:
        os.set_handle_inheritable(handle, True)
    given = {**env, **{name: os.environ[name] for name in _ALWAYS if name in os.environ}}
    try:
        for flags in (_NO_WINDOW | _BREAKAWAY, _NO_WINDOW):
            try:
                return subprocess.Popen(
                    [_python(), *argv],
                    env=given,
                    startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles}),
                    creationflags=flags,
                )
            except PermissionError:
                if not flags & _BREAKAWAY:
                    raise
        raise AssertionError
    finally:
        for handle in handles:
            os.set_handle_inheritable(handle, False)


def _python() -> str:
    """The interpreter itself: not the launcher of a virtual environment, and one that can have a console."""
    path = str(getattr(sys, "_base_executable", sys.executable))
    with_console = os.path.join(os.path.dirname(path), "python.exe")
    is_without = os.path.basename(path).lower() == "pythonw.exe"
    return with_console if is_without and os.path.isfile(with_console) else path


def hand_over(line: socket.socket, data: bytes, fds: list[int]) -> None:
    """Never called where keepers are not forked."""
    raise OSError(errno.ENOTSUP, "files cannot be handed over on Windows")


def remove_tree(path: str) -> None:
    """Delete a folder, or what can be deleted of it. Blocks while somebody has a file in it open."""
    deadline = time.monotonic() + _REMOVE_S
    while os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        if os.path.isdir(path):
            time.sleep(0.02)


def sharing(path: str, flags: int) -> int:
    """An opener of files that their keeper may rename or delete meanwhile."""
    return open_file(path, flags & ~os.O_BINARY & ~os.O_NOINHERIT)


def resident_bytes(pid: int) -> int:
    """Memory that the process has in use, pages shared with others included; 0 if it is gone."""
    handle = api.open_process(api.QUERY | api.VM_READ, False, pid) or api.open_process(api.QUERY, False, pid)
    if not handle:
        return 0
    memory = api.MEMORY_COUNTERS()
    memory.cb = ctypes.sizeof(memory)
    api.process_memory(handle, ctypes.byref(memory), memory.cb)
    api.close_handle(handle)
    return int(memory.others[0])


proportional_bytes = resident_bytes
"""Windows does not tell how pages are shared."""


def usable_cpus() -> int | None:
    """How many a program may be confined to a part of: its job does that."""
    return os.cpu_count()


def raise_file_limit() -> tuple[int, int]:
    """Windows has no such limit: handles are bounded by memory."""
    return 1 << 20, 1 << 20


class OwnTty:
    fd = -1
    size = (0, 0)

    @classmethod
    def open(cls, descriptor: int) -> "OwnTty":
        raise OSError("attaching is not supported on Windows yet: use Linux or macOS (or WSL)")

    def make_raw(self) -> None: ...
    def restore(self) -> None: ...
    def close(self) -> None: ...
