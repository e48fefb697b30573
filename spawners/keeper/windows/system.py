# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Files of Windows under the names and with the manners of those of POSIX; pipes are in `pipes.py`."""

import msvcrt
import os
from os import fsync, getpid, lseek
from os import ftruncate as truncate
from os import replace as rename
from os import unlink as remove

from spawners.keeper.windows import api
from spawners.keeper.windows.pipes import DEVICES, PIECE, POLLERR, POLLIN, POLLOUT, Bell, Poll, Reader, Writer

READ = os.O_RDONLY
CREATE = os.O_RDWR | os.O_CREAT | os.O_TRUNC
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

__all__ = [
    "APPEND", "CREATE", "POLLERR", "POLLIN", "POLLOUT", "READ", "Bell", "Poll", "Reader", "Writer", "close",
    "complain", "exists", "fsync", "getpid", "lseek", "open_file", "read", "remove", "rename",
    "sync_directory", "truncate", "vanish", "variable", "write", "write_first",
]  # fmt: skip


def read(fd: int, most: int) -> bytes:
    device = DEVICES.get(fd)
    if device is None:
        return os.read(fd, most)
    assert isinstance(device, Reader | Bell)
    return device.read(most)


def write(fd: int, data: "bytes | memoryview") -> int:
    device = DEVICES.get(fd)
    if device is None:
        return os.write(fd, data)
    assert isinstance(device, Writer)
    return device.write(bytes(data[:PIECE]))


def write_first(fd: int, data: bytes) -> bool:
    """Into a pipe, in front of what it has not taken yet; False where it is closed."""
    device = DEVICES.get(fd)
    if not isinstance(device, Writer):
        return False
    device.write_first(data)
    return not device.broken


def close(fd: int) -> None:
    device = DEVICES.pop(fd, None)
    if device is None:
        os.close(fd)
    else:
        device.close()


def open_file(path: str, flags: int) -> int:
    """Open a file that others may read, rename and delete meanwhile, as they may on POSIX."""
    access = 0x80000000 if flags == READ else 0xC0000000
    how = 3 if flags == READ else 2 if flags & os.O_TRUNC else 4  # existing, anew, or either
    handle = api.create_file(path, access, 7, None, how, 0x80, None)
    if handle == api.INVALID:
        raise api.failure()
    return msvcrt.open_osfhandle(handle, flags & (os.O_APPEND | os.O_RDONLY) | os.O_BINARY | os.O_NOINHERIT)


def exists(path: str) -> bool:
    return os.path.exists(path)


def sync_directory(_: str) -> None:
    """A directory cannot be synchronized here; the file system's journal keeps names in order."""


def complain(text: str) -> None:
    try:
        sys.stderr.write(text)
    except OSError:
        pass  # a full disk


def variable(name: str) -> str:
    return os.environ.get(name, "")


def vanish() -> None:
    os.kill(getpid(), 9)  # TerminateProcess
