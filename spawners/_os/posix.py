# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Locks that live as long as the processes that hold the open file: flock(2), Linux and macOS. How keepers
are started and reached."""

import asyncio
import contextlib
import fcntl
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

_Line = TypeVar("_Line", bound=asyncio.Protocol)

__all__ = [
    "Calling",
    "address_limit",
    "collect",
    "dial",
    "hand_over",
    "has_job_objects",
    "is_locked",
    "lock_new",
    "number_of",
    "raise_file_limit",
    "remove_tree",
    "resolved",
    "sharing",
    "start_detached",
    "why_unsupported",
]

why_unsupported = ""
"""Why sessions cannot be run here; empty: they can."""

has_job_objects = False
"""Whether a keeper holds its agent in a job that ends with it."""


def lock_new(path: str) -> int:
    """Open (and create) `path`, lock it, and return the file descriptor that carries the lock.

    The lock belongs to the open file: whoever inherits the descriptor holds it on, without a gap,
    and the kernel frees it when the last holder is gone. Raises `BlockingIOError` if it is taken.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock of `path`. False if there is no such file."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def collect(pid: int) -> bool:
    """Reap `pid` if it is a child of ours that has ended; return False while it is one that lives."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def hand_over(line: socket.socket, data: bytes, fds: list[int]) -> None:
    """Send one packet and copies of open files with it. Raises OSError; then nothing was sent."""
    socket.send_fds(line, [data], fds)


async def dial(line: Callable[[], _Line], address: str) -> _Line:
    """Connect to the keeper that listens at the unix socket `address`. Raises OSError."""
    return (await asyncio.get_running_loop().create_unix_connection(line, address))[1]


class Calling:
    """Our end of the line to a keeper that is being started, and what it inherits of the other one."""

    waits = False
    """Whether the line is there only once the keeper runs."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.fd = self._theirs.fileno()
        """What it has to inherit."""

    def given(self) -> None:
        """The keeper has what it needs of this, or will never be."""
        self._theirs.close()

    async def answered(self) -> socket.socket:
        """Our end of the line."""
        ours, self._ours = self._ours, socket.socket()
        return ours

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()


def number_of(fd: int) -> int:
    """The number by which a child that inherits this file knows it."""
    return fd


def resolved(argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """What is to be executed instead of `argv`: just that."""
    return tuple(argv)


def start_detached(
    argv: Sequence[str], env: Mapping[str, str], *, log: str, fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    """Execute a Python program that outlives us, its complaints appended to `log`. Raises OSError.

    The vfork path of `Popen`: a fork would stall a large daemon.
    """
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env=env,
            pass_fds=fds,
            start_new_session=True,
        )
    finally:
        os.close(errors)


address_limit = 103
"""Bytes of a unix socket's path on macOS; Linux has four more."""

sharing = None
"""An opener of files that their keeper may rename or delete meanwhile: here it always may."""


def remove_tree(path: str) -> None:
    """Delete a folder, or what can be deleted of it."""
    shutil.rmtree(path, ignore_errors=True)


def raise_file_limit() -> tuple[int, int]:
    """Raise this process' soft limit of open files to the hard one; return what it was, and the hard one.

    macOS gives a LaunchAgent 256, names no hard limit, and refuses more than kern.maxfilesperproc, which
    depends on the machine: less is asked for until it is given.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    while wanted > soft >= 0:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
        wanted //= 2
    return soft, hard
