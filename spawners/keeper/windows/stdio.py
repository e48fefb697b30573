# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The events that a keeper hears, and the pipes of its program."""

import msvcrt
import os
import threading

from spawners.keeper.protocol import STDERR, STDOUT
from spawners.keeper.windows import api
from spawners.keeper.windows.console import make_output, make_pipe
from spawners.keeper.windows.system import READ, Bell, Reader, Writer, open_file

MYPY = False
if MYPY:
    from collections.abc import Callable

CTRL_CLOSE = 2  # and what is above it: logoff and shutdown
SYSTEM_WAITS_S = 4.0  # of the five seconds that it gives
_KEPT: "list[object]" = []  # Windows calls it for as long as we live


def prepare(ended: "Callable[..., None]", unheard: "Callable[..., None]", open_files: "int | None") -> int:
    """Hear the events of the hidden console that we share with a program on pipes: no key of it ends us,
    but the end of the session ends the tree. Returns what can be read whenever something has happened."""
    bell = Bell()

    def handle(event: int) -> bool:
        if event >= CTRL_CLOSE:
            ended()
            bell.ring()
            threading.Event().wait(SYSTEM_WAITS_S)  # when this returns we are ended
        return True

    handler = api.HANDLER(handle)
    _KEPT.append(handler)
    api.set_console_handler(None, False)  # our children shall not begin by ignoring ^C
    api.set_console_handler(handler, True)
    return bell.number


def open_pipes(source: "str | None") -> "tuple[list[int], int, dict[int, int]]":
    """As on POSIX: the three files of a program, our end of its input, and of its outputs."""
    ours, outputs = -1, {}
    if source is None:
        inner, outer = make_pipe()
        ours = Writer(outer).number
        fds = [msvcrt.open_osfhandle(inner, os.O_RDONLY | os.O_BINARY)]
    else:
        fds = [open_file(source or "NUL", READ)]
    for stream in (STDOUT, STDERR):
        outer, inner = make_output()
        outputs[Reader(outer).number] = stream
        fds.append(msvcrt.open_osfhandle(inner, os.O_WRONLY | os.O_BINARY))
    return fds, ours, outputs


def confine(count: int) -> "set[int]":
    """The job has a share of the processors instead."""
    return set()


def release(cpus: "set[int]") -> None:
    """Nothing was confined."""


def make_way() -> None:
    """Nobody waits to be forked."""
