# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The keeper as a process of its own, on Windows."""

import msvcrt
import os
import socket

from spawners.keeper.birth import Abandoned
from spawners.keeper.keeper import Keeper
from spawners.keeper.windows import api

SHARING_VIOLATION = 32
PATIENCE_S = 30.0


def keep(directory: str, lock: int, control: socket.socket, gate: bool) -> int:
    """Be the keeper of this directory's agent; the exit code of the process."""
    os.set_handle_inheritable(lock, False)
    if not is_held(directory + "/lock"):
        return 1  # it was not handed over
    keeper = Keeper(directory, control)
    try:
        started = keeper.start(gate)
    except Abandoned:
        return 1  # another keeper may have begun in this directory: nothing in it is ours
    if not started:
        keeper.say_goodbye()
        return 1
    keeper.run()
    return 0


def is_held(path: str) -> bool:
    """Whether the lock is what we have inherited it for: nobody can open the file."""
    handle = api.create_file(path, 0x80000000, 7, None, 3, 0x80, None)
    if handle != api.INVALID:
        api.close_handle(handle)
        return False
    return api.failure().winerror == SHARING_VIOLATION


def connect(told: int) -> socket.socket:
    """To the daemon that has started us: it has written down in this pipe where, and what to say there."""
    with open(msvcrt.open_osfhandle(told, os.O_RDONLY | os.O_BINARY), "rb") as file:
        port, _, token = file.read().partition(b" ")
    control = socket.create_connection(("127.0.0.1", int(port)), PATIENCE_S)
    control.sendall(token)
    return control


def main() -> None:
    """Never returns: threads may hang in pipes that others hold open.

    Our standard handles stay those of our hidden console: a program in a pseudo console is given its own
    only if its parent has none that lead elsewhere. So the log is not one of them.
    """
    directory, lock, told = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    code = 1
    sys.stderr = open(directory + "/keeper.log", "a", encoding="utf-8", buffering=1)
    try:
        code = keep(directory, lock, connect(told), sys.argv[4:] == ["gate"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
