"""Ending the whole tree: interrupt, terminate, kill, and the proof that nothing is left."""

import time

from spawners.keeper.answers import Answers
from spawners.keeper.protocol import HELLO
from spawners.keeper.system import failpoint

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
            if self.rung_at is None and not self.tree.is_empty():
                self.begin_sweep(now)
            return
        self.ended_by = reason
        failpoint("after_stop_began")
        if interrupt_ms > 0 and self.tree.interrupt(self.terminal):
            self.rung, self.rung_at = "interrupt", now + interrupt_ms / 1000
        else:
            self.climb(now)

    def climb(self, now: float) -> None:
        """The next rung is due."""
        gentle = self.rung in ("", "interrupt") and self.alive and self.terminate_ms > 0
        if gentle and self.tree.terminate(self.terminal):
            self.rung, self.rung_at = "terminate", now + self.terminate_ms / 1000
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
        for member in self.tree.ask_leftovers():
            self.leftovers[member.pid] = member.label
        self.rung, self.rung_at = "terminate", now + LEFTOVER_S

    def kill_pass(self, now: float) -> None:
        """One sweep; the next is due soon, until no child is left or what is left cannot be killed."""
        living = self.tree.members()
        if now - self.kill_began > GIVE_UP_S:
            self.survivors = [member.label for member in living]
            self.gave_up, self.rung_at = True, None
            if self.alive:
                self.abandon()
            return
        for member in living:
            self.killed[member.pid] = member.label
            if not self.alive:
                self.leftovers[member.pid] = member.label
        self.tree.kill(living, self.alive, self.terminal)
        self.rung_at = now + PASS_S

    def abandon(self) -> None:
        """The program itself cannot be killed: say who still lives, and go on watching it."""
        for connection in list(self.connections.values()):
            self.send(connection, HELLO, self.hello())

    def reap(self) -> None:
        """Notice that the program has ended, and collect whatever else has."""
        ended = self.tree.reap()
        if ended is None or not self.alive:
            return
        self.alive, self.ended = False, ended
        self.timeout_at = None
        self.close_stdin()
        if self.terminal:
            self.terminal.close_slave()
        self.rung_at = None  # `settle` goes on with what is left of the tree
        failpoint("after_exit_seen")
