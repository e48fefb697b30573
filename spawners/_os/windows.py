# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Locks by sharing, keepers detached from our console; facts of processes are in `windows_processes.py`."""

import errno
import msvcrt
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence

from spawners._os import shims
from spawners.keeper.windows import api
from spawners.keeper.windows.identity import boot_id
from spawners.keeper.windows.system import open_file

__all__ = [
    "address_limit",
    "boot_id",
    "drop_typed",
    "hand_over",
    "has_job_objects",
    "is_locked",
    "lock_new",
    "number_of",
    "raise_file_limit",
    "remove_tree",
    "resolved",
    "script_kind",
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
_SHARING_VIOLATION = 32
_NO_WINDOW, _BREAKAWAY = 0x08000000, 0x01000000
_ALWAYS = ("SYSTEMROOT", "TEMP", "TMP")
_LOOK_S = 0.1
"""Whoever asks `is_locked` has the file open for a moment; so has a virus scanner."""
_REMOVE_S = 5.0
"""A file that somebody has open is not deleted; whoever has one of an agent's open closes it soon."""

script_kind = "py"
"""Which kind of script a window executes; see `terminals/script.py`."""


def drop_typed() -> None:
    """Drop what was typed into our console and not read."""
    while msvcrt.kbhit():
        msvcrt.getwch()


# -- locks


def lock_new(path: str) -> int:
    """Open (and create) `path` so that nobody else can, and return the file that carries this lock.

    It belongs to the open file: whoever inherits that holds it on, without a gap, and it is freed when the
    last holder is gone. Raises `BlockingIOError` if it is taken.
    """
    deadline = time.monotonic() + _LOOK_S
    while True:
        handle = api.create_file(path, _READ | _WRITE, 0, None, _ANY, 0x80, None)
        if handle != api.INVALID:
            break
        failure = api.failure()
        if failure.winerror != _SHARING_VIOLATION:
            raise failure
        if time.monotonic() > deadline:
            raise BlockingIOError(errno.EAGAIN, "it is locked", path)
        time.sleep(0.002)
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


def usable_cpus() -> int | None:
    """How many a program may be confined to a part of: its job does that."""
    return os.cpu_count()


def raise_file_limit() -> tuple[int, int]:
    """Windows has no such limit: handles are bounded by memory."""
    return 1 << 20, 1 << 20
