# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The program and all that it starts: asked to end, killed, collected, and proven to be gone."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import posix

from spawners.keeper.connection import Refusal
from spawners.keeper.execute import execute
from spawners.keeper.processes import become_subreaper, descendants, signal_member, signal_quietly
from spawners.keeper.system import LINUX, SIGINT, SIGKILL, SIGTERM, now_ms

MYPY = False
if MYPY:
    from typing import Any

    from spawners.keeper.processes import Member
    from spawners.keeper.terminal import Terminal

SIGCONT = _signal.SIGCONT


class Ended:
    """How the program itself ended, and what it and its children that were waited for have used."""

    __slots__ = ("at_ms", "code", "cpu_ms", "max_rss", "note", "signal")

    def __init__(self, status: int, usage: "Any") -> None:
        signalled = posix.WIFSIGNALED(status)
        self.at_ms = now_ms()
        self.signal = posix.WTERMSIG(status) if signalled else None
        self.code = None if signalled else posix.WEXITSTATUS(status)
        self.max_rss = usage.ru_maxrss * (1024 if LINUX else 1)  # Linux counts in KiB, macOS in bytes
        self.cpu_ms = int((usage.ru_utime + usage.ru_stime) * 1000)
        self.note = ""


class Tree:
    """Everything below this process, which is the subreaper of it where there is such a thing."""

    def __init__(self, directory: str) -> None:
        self.me = posix.getpid()
        self.pid = 0
        self.subreaper = become_subreaper()
        self.childless = False

    def start(self, spec: "dict[str, Any]", stdio: "list[int] | Terminal", wake: int) -> int:
        """Execute the program; `wake` hears of every child that ends, as it does of signals."""
        self.pid = execute(spec, stdio if isinstance(stdio, list) else stdio.path)
        return self.pid

    def members(self) -> "list[Member]":
        return descendants(self.me)

    def reap(self) -> "Ended | None":
        """Collect every child that has ended: the program, and whatever was orphaned below it."""
        ended = None
        while True:
            try:
                pid, status, usage = posix.wait3(posix.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return ended
            if pid == 0:
                return ended
            if pid == self.pid:
                ended = Ended(status, usage)

    def is_empty(self) -> bool:
        """No process of the tree lives. A subreaper without children has no descendants either."""
        if not self.childless:
            return False
        if self.subreaper:
            return True
        try:
            posix.killpg(self.pid, 0)
        except OSError:
            return True
        return False

    def signal(self, number: int, _: "Terminal | None") -> None:
        """To the program's group, as somebody has asked for it. Raises Refusal."""
        try:
            posix.killpg(self.pid, number)
        except OSError as error:
            raise Refusal("failed", "signal %s: %s" % (number, error.strerror)) from None

    def interrupt(self, terminal: "Terminal | None") -> bool:
        """Whether it could be asked."""
        self.signal_group(SIGINT, terminal)
        return True

    def terminate(self, terminal: "Terminal | None") -> bool:
        self.signal_group(SIGTERM, terminal)
        self.signal_members(SIGTERM, outside_group=True)
        if terminal:  # as when its window is closed: an interactive shell ignores SIGTERM
            self.signal_group(_signal.SIGHUP, terminal)
        return True

    def ask_leftovers(self) -> "list[Member]":
        """Those that outlived the program are asked to end."""
        return self.signal_members(SIGTERM)

    def kill(self, living: "list[Member]", group: bool, terminal: "Terminal | None") -> None:
        if group:
            self.signal_group(SIGKILL, terminal)
        for member in living:
            signal_member(member, SIGKILL)

    def signal_group(self, number: int, terminal: "Terminal | None") -> None:
        """To the program's own group; it leads its session, so the group is its own while it lives."""
        groups = [self.pid]
        front = terminal.interrupt_group() if terminal else 0
        if front and front != self.pid and any(m.group == front for m in self.members()):
            groups.append(front)  # the job that a shell in the terminal is running
        for group in groups:
            signal_quietly(posix.killpg, group, number)
            if number != SIGKILL:
                signal_quietly(posix.killpg, group, SIGCONT)  # a stopped process must hear it too

    def signal_members(self, number: int, outside_group: bool = False) -> "list[Member]":
        members = [m for m in self.members() if not outside_group or m.group != self.pid]
        for member in members:
            signal_member(member, number)
            signal_member(member, SIGCONT)
        return members

    def release(self) -> None:
        """What is left may live on: there is nothing that would end it."""
