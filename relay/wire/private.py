"""Files and folders that are this user's alone, and replacing them under the eyes of readers."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from typing import TypeVar

from relay.wire import acl

__all__ = [
    "how_to_close",
    "is_private",
    "make_private",
    "private_folder",
    "read_text",
    "remove_file",
    "replace_file",
    "write_private",
]

T = TypeVar("T")

IN_USE = (5, 32, 33)
"""Windows' numbers for a file that somebody else has open in this moment, or that is being deleted."""
IN_USE_S = 2.0
"""Our own programs have these files open for well under a millisecond; a virus scanner for longer."""
LOOK_S = 0.005


def private_folder(path: str) -> None:
    """Make `path` and what is above it if they are missing; others must not get in. Raises `OSError`."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    if acl.supported and not acl.is_private(path):
        acl.restrict(path)


def make_private(path: str) -> None:
    """Close a file or folder of ours to everybody else. Raises `OSError`."""
    if acl.supported:
        acl.restrict(path)
    else:
        os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)


def is_private(path: str) -> bool:
    """Whether `path` is this user's and nobody else can open it. Raises `OSError` if it is gone."""
    if acl.supported:
        return acl.is_private(path)
    status = os.stat(path)
    owner: int = getattr(os, "getuid")()  # noqa: B009 # not on every system
    return status.st_uid == owner and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def how_to_close(path: str) -> str:
    """What a person does so that `path` is private."""
    if acl.supported:
        return f'icacls "{path}" /inheritance:r /grant:r "%USERNAME%:F" (and own it)'
    return f"chmod 600 {path} (and chown it to you)"


def write_private(path: str, text: str) -> None:
    """Replace `path` with `text` in one step, readable by this user only."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        if acl.supported:
            acl.restrict(temporary)  # before there is anything in it
        file.write(text)
    replace_file(temporary, path)


def replace_file(source: str, target: str) -> None:
    """As `os.replace`, also while somebody reads `target` on a system that refuses that."""
    _patiently(lambda: os.replace(source, target))


def remove_file(path: str) -> None:
    """As `os.unlink`, also while somebody reads `path` on a system that refuses that."""
    _patiently(lambda: os.unlink(path))


def read_text(path: str) -> str:
    """The text of `path`, also in the moment in which it is replaced. Raises `OSError`."""

    def read() -> str:
        with open(path, encoding="utf-8") as file:
            return file.read()

    return _patiently(read)


def _patiently(act: Callable[[], T]) -> T:
    """Do it again for a short time while Windows says that the file is in use; it has no other way."""
    deadline = time.monotonic() + IN_USE_S
    while True:
        try:
            return act()
        except OSError as error:
            busy = error.errno == errno.EACCES and getattr(error, "winerror", None) in IN_USE
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_S)
