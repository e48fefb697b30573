"""The keeper: a poll loop over a program, its pipes or terminal, timers and connections."""

import _struct
import time

from spawners.keeper.answers import Answers
from spawners.keeper.birth import Birth
from spawners.keeper.connection import Connection, Refusal
from spawners.keeper.files import loads
from spawners.keeper.input import Inputs
from spawners.keeper.protocol import (
    ANSWER,
    ATTACH,
    CANCEL_INPUT,
    CLOSE_STDIN,
    COLLECTED,
    GIVE,
    HOLD,
    INPUT,
    MEMBERS,
    RESIZE,
    RESPOND,
    SIGNAL,
    STATUS,
    STOP,
    TERMINAL,
    TYPE,
    VERSION,
    WAIT,
    WATCH,
)
from spawners.keeper.system import POLLERR
from spawners.keeper.viewers import Viewers

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

DRAIN_S = 2.0  # for output still in flight, or held open from outside the tree, after the tree is empty
TIMEOUT_GRACE_MS = (2000, 5000)  # the rungs after the agent's time has run out
SHUTDOWN_GRACE_MS = (1000, 2000)  # init systems allow about five seconds in all


class Keeper(Birth):
    """The one object of the process."""

    def run(self) -> None:
        while not self.leaving:
            for fd, events in self.poll.poll(self.poll_ms()):
                handler = self.handlers.get(fd)  # None: closed by a handler before this one
                if fd == self.stdin_fd and events & POLLERR:
                    self.close_stdin()  # nobody can read it any more; poll would say so for ever
                elif handler:
                    handler(fd)
            self.tick(time.monotonic())
        self.say_goodbye()

    def poll_ms(self) -> "int | None":
        times = (self.timeout_at, self.rung_at, self.drain_at, self.retry_at, self.answer_due())
        due = [at for at in times if at is not None]
        return max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None

    def tick(self, now: float) -> None:
        if self.terminated:
            self.terminated = False
            self.begin_stop("shutdown", *SHUTDOWN_GRACE_MS)
        if self.unheard:
            self.unheard = False
            self.listen_again()
        if self.timeout_at is not None and now >= self.timeout_at:
            self.timeout_at = None
            self.begin_stop("timeout", *TIMEOUT_GRACE_MS)
        if self.rung_at is not None and now >= self.rung_at:
            self.climb(now)
        if self.retry_at is not None and now >= self.retry_at:
            self.retry_at = None
            self.write_record()
        due = self.answer_due()
        if due is not None and now >= due:
            self.answer_late()
        self.settle(now)

    def settle(self, now: float) -> None:
        """What follows from the program having ended, as far as it has come."""
        if self.alive or self.leaving:
            return
        keep = self.spec["leftovers"] == "keep" and not self.stopping
        if self.exit is None and not keep and not self.gave_up and not self.tree.is_empty():
            if self.rung_at is None:
                self.begin_sweep(now)
            return
        if self.rung_at is not None and (self.gave_up or self.tree.is_empty()):
            self.rung_at = None
        if self.pipes and not keep and self.exit is None:
            if self.drain_at is None:
                self.drain_at = now + DRAIN_S
            if now < self.drain_at:
                return
            self.close_pipes()
        if self.exit is None:
            if keep:
                self.drain_present()
                self.tree.release()
            self.record_exit()
        if self.exit is not None and not self.pipes and self.durable and self.rung_at is None:
            self.leaving = True

    def answer(self, connection: Connection, kind: int, payload: bytes) -> None:
        request = 0
        try:
            if kind in (HOLD, WAIT, WATCH):
                self.follow(connection, kind, _struct.unpack("!Q", payload)[0])
                return
            if kind == INPUT:
                (request,) = _struct.unpack_from("!I", payload)
                self.take_input(connection, request, payload[4:])
                return
            if kind == GIVE:
                request, offset = _struct.unpack_from("!IQ", payload)
                self.take_given(connection, request, offset, payload[12:])
                return
            if kind == TYPE:
                request, automatic = _struct.unpack_from("!IB", payload)
                self.take_keys(connection, request, payload[5:], bool(automatic))
                return
            if kind == ANSWER:
                self.take_answer(connection, _struct.unpack_from("!Q", payload)[0], payload[8:])
                return
            asked = loads(payload)
            request = asked["id"]
            attached = self.of_connection.get(kind)
            if attached is not None:
                self.done(connection, request, attached(self, connection, asked))
                return
            handler = self.requests.get(kind)
            if handler is None:
                raise Refusal("unsupported", "keeper version %d does not know request %d" % (VERSION, kind))
            self.done(connection, request, handler(self, asked))
        except Refusal as refusal:
            self.refuse(connection, request, refusal.args[0], refusal.args[1])
        except (ValueError, KeyError, TypeError, _struct.error):  # type: ignore[attr-defined]
            self.drop(connection)

    def follow(self, connection: Connection, kind: int, offset: int) -> None:
        """Keep the output from `offset` on for this connection, or tell it of what comes after that."""
        if kind != HOLD:
            connection.wait, connection.pushed = offset, kind == WATCH
            self.announce_to(connection)
            return
        connection.hold, connection.hold_until = offset, None
        if connection is self.birth:
            self.birth.hold_until = None

    def do_signal(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self.reap()
        if not self.alive:
            raise Refusal("ended", "the program has already ended")
        self.tree.signal(asked["number"], self.terminal)
        return {}

    def do_stop(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self.begin_stop("stop", asked["interruptMs"], asked["terminateMs"])
        return {}

    def do_members(self, _: "dict[str, Any]") -> "dict[str, Any]":
        members = sorted(self.tree.members(), key=lambda member: member.pid != self.pid)
        return {"members": [{"pid": m.pid, "started": m.started, "name": m.name} for m in members]}

    def do_status(self, _: "dict[str, Any]") -> "dict[str, Any]":
        return self.hello()

    def do_collected(self, _: "dict[str, Any]") -> "dict[str, Any]":
        if self.exit is None:
            raise Refusal("running", "the program has not ended")
        self.durable = True
        return {}

    of_connection: "dict[int, Callable[[Keeper, Connection, dict[str, Any]], dict[str, Any]]]" = {
        CANCEL_INPUT: Inputs.do_cancel_input,
        ATTACH: Viewers.do_attach,
        RESIZE: Viewers.do_resize,
        RESPOND: Answers.do_respond,
        TERMINAL: Viewers.do_terminal,
    }

    requests: "dict[int, Callable[[Keeper, dict[str, Any]], dict[str, Any]]]" = {
        STATUS: do_status,
        CLOSE_STDIN: Inputs.do_close_stdin,
        SIGNAL: do_signal,
        STOP: do_stop,
        MEMBERS: do_members,
        COLLECTED: do_collected,
    }
