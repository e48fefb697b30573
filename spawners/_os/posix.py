# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Locks that live as long as the processes that hold the open file: flock(2), Linux and macOS."""

import contextlib
import fcntl
import os
import resource
import socket

__all__ = ["collect", "hand_over", "is_locked", "lock_new", "raise_file_limit", "why_unsupported"]

why_unsupported = ""
"""Why sessions cannot be run here; empty: they can."""


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
