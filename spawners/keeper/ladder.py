# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Ending the whole tree: interrupt, terminate, kill, and the proof that nothing is left."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import posix
import select
import time

from spawners.keeper.answers import Answers
from spawners.keeper.processes import descendants, exits_of, remember, signal_member, signal_quietly
from spawners.keeper.protocol import HELLO
from spawners.keeper.system import LINUX, SIGCONT, SIGINT, SIGKILL, SIGTERM, failpoint, now_ms

MYPY = False
if MYPY:
    from spawners.keeper.processes import Member

LEFTOVER_S = 0.5  # between asking and killing what the program left behind
PASS_S = 0.02  # between two kill passes
GIVE_UP_S = 10.0  # of kill passes: what then still lives sits in the kernel (state D)


class Ladder(Answers):
    """The stop ladder; `settle` and the timers call it."""

    def begin_stop(self, reason: str, interrupt_ms: int, terminate_ms: int) -> None:
        """Start to end the whole tree, or hasten an ending that has begun."""
        self.reap()
        now = time.monotonic()
        self.terminate_ms = min(self.terminate_ms, terminate_ms) if self.stopping else terminate_ms
        if self.stopping:
            if self.rung in ("interrupt", "terminate") and self.alive and self.rung_at is not None:
                pause = interrupt_ms if self.rung == "interrupt" else terminate_ms
                self.rung_at = min(self.rung_at, now + pause / 1000)
            elif self.gave_up:
                self.gave_up, self.kill_began, self.rung_at = False, now, now
            return
        self.stopping = True
        if not self.alive:
            if self.rung_at is None and not self.tree_is_empty():
                self.begin_sweep(now)
            return
        self.ended_by = reason
        failpoint("after_stop_began")
        remember()
        if interrupt_ms > 0:
            self.rung, self.rung_at = "interrupt", now + interrupt_ms / 1000
            self.signal_group(SIGINT)
        else:
            self.climb(now)

    def climb(self, now: float) -> None:
        """The next rung is due."""
        if self.rung in ("", "interrupt") and self.alive and self.terminate_ms > 0:
            self.rung, self.rung_at = "terminate", now + self.terminate_ms / 1000
            self.signal_group(SIGTERM)
            self.signal_members(SIGTERM, outside_group=True)
            if self.terminal:  # as when its window is closed: an interactive shell ignores SIGTERM
                self.signal_group(_signal.SIGHUP)
        elif self.rung != "kill":
            self.rung, self.rung_at, self.kill_began = "kill", now, now
            self.kill_pass(now)
        else:
            self.kill_pass(now)

    def begin_sweep(self, now: float) -> None:
        """The program has ended and others of its tree have not: ask them, then kill."""
        if self.rung == "kill":
            self.rung_at = now
            return
        members = self.signal_members(SIGTERM)
        for member in members:
            self.leftovers[member.pid] = member.label
        self.rung, self.rung_at = "terminate", now + LEFTOVER_S
        if not self.subreaper:
            self.look_out([member.pid for member in members])

    def look_out(self, pids: "list[int]") -> None:
        """Wake up when one of these ends, which is no child of ours."""
        try:
            self.exits = exits_of(pids)
        except OSError:
            return  # then the next rung sees it
        self.watch(self.exits.fileno(), select.POLLIN, lambda _: self.exits.control(None, len(pids), 0))

    def kill_pass(self, now: float) -> None:
        """One sweep; the next is due soon, until no child is left or what is left cannot be killed."""
        living = descendants(self.me)
        if now - self.kill_began > GIVE_UP_S:
            self.survivors = [member.label for member in living]
            self.gave_up, self.rung_at = True, None
            if self.alive:
                self.abandon()
            return
        if self.alive:
            self.signal_group(SIGKILL)
        for member in living:
            self.killed[member.pid] = member.label
            if not self.alive:
                self.leftovers[member.pid] = member.label
            signal_member(member, SIGKILL)
        self.rung_at = now + PASS_S

    def abandon(self) -> None:
        """The program itself cannot be killed: say who still lives, and go on watching it."""
        for connection in list(self.connections.values()):
            self.send(connection, HELLO, self.hello())

    def signal_group(self, number: int) -> None:
        """To the program's own group; it leads its session, so the group is its own while it lives."""
        groups = [self.pid]
        front = self.terminal.interrupt_group() if self.terminal else 0
        if front and front != self.pid and any(m.group == front for m in descendants(self.me)):
            groups.append(front)  # the job that a shell in the terminal is running
        for group in groups:
            signal_quietly(posix.killpg, group, number)
            if number != SIGKILL:
                signal_quietly(posix.killpg, group, SIGCONT)  # a stopped process must hear it too

    def signal_members(self, number: int, outside_group: bool = False) -> "list[Member]":
        members = [m for m in descendants(self.me) if not outside_group or m.group != self.pid]
        for member in members:
            signal_member(member, number)
            signal_member(member, SIGCONT)
        return members

    def tree_is_empty(self) -> bool:
        """No process of the tree lives. A subreaper without children has no descendants either."""
        if not self.childless:
            return False
        if self.subreaper:
            return True
        if not LINUX:  # never by the group there: its number may be that of others by now
            return not descendants(self.me)
        try:
            posix.killpg(self.pid, 0)
        except OSError:
            return True
        return False

    def reap(self) -> None:
        """Collect every child that has ended: the program, and whatever was orphaned below it."""
        while True:
            try:
                pid, status, usage = posix.wait3(posix.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                return
            if pid == self.pid and self.alive:
                self.alive = False
                self.ended_ms, self.status, self.usage = now_ms(), status, usage
                self.timeout_at = None
                self.close_stdin()
                if self.terminal:
                    if not LINUX:
                        self.drain_present()  # the last one to close a terminal throws away what is unread
                    self.terminal.close_slave()
                self.rung_at = None  # `settle` goes on with what is left of the tree
                failpoint("after_exit_seen")
