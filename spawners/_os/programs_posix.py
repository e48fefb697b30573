# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Starting programs, and being told to end, where there are sessions and signals: Linux and macOS."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, NoReturn

from spawners._os.facts import Process

__all__ = [
    "Group",
    "find_program",
    "listen",
    "on_told_to_end",
    "program_folders",
    "read_pipe",
    "start_again",
    "start_server",
    "stored_environment",
]

CHUNK = 65536

program_folders = (
    *("~/.local/bin", "~/bin", "~/.npm-global/bin", "~/.bun/bin", "~/.cargo/bin", "~/.volta/bin"),
    *("~/.asdf/shims", "~/.local/share/mise/shims", "~/.claude/local", "~/.opencode/bin"),
    *("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"),
)
"""Where installers put CLIs."""


def find_program(name: str, path: str) -> str | None:
    """The absolute path of the program `name` among the folders of `path`."""
    found = shutil.which(name, path=path)
    return None if found is None else os.path.abspath(found)


def stored_environment() -> dict[str, str] | None:
    """None: what a login has is known to the login shell alone."""
    return None


def start_server(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: str, output: BinaryIO
) -> "subprocess.Popen[bytes]":
    """Start a program that is not to end with us, our terminal or our session."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
    )


def start_again(argv: Sequence[str]) -> NoReturn:
    """Become `argv`, under the same number and with the same files."""
    os.execv(argv[0], list(argv))  # noqa: S606


class Group:
    """A program in a session of its own, with all that it starts there; its stdout is a pipe."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        self.process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def has_ended(self, process: Callable[[int], Process | None]) -> bool:
        """Without collecting it: until that, its number cannot become another process'."""
        found = process(self.process.pid)
        return found is None or found.zombie

    def kill(
        self, processes: Callable[[], list[Process]], send_signal: Callable[[Process, int], bool]
    ) -> None:
        """Kill all of the session; what was forked in between is met by the next pass."""
        for _ in range(3):
            living = [item for item in processes() if item.session == self.process.pid and not item.zombie]
            if not living:
                return
            for item in living:
                send_signal(item, signal.SIGKILL)


def read_pipe(fd: int, take: Callable[[bytes], None]) -> Callable[[], None]:
    """Hand `take` what comes through a pipe, empty at its end; call the result to stop that.

    Reads in the loop's callback itself, right after the pipe was found readable: later it might block.
    """
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, lambda: take(os.read(fd, CHUNK)))

    def stop() -> None:
        loop.remove_reader(fd)

    return stop


def on_told_to_end(tell: Callable[[int], None]) -> None:
    """Call `tell` with the number of each signal that asks this program, which has no loop, to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: tell(number))


def listen(handlers: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """Call in the running loop what `handlers` has for the name of a signal; call the result to stop that."""
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in handlers if hasattr(signal, name)]
    for number in numbers:
        loop.add_signal_handler(number, handlers[signal.Signals(number).name])

    def stop() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return stop
