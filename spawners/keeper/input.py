"""What the program is given to read."""

from spawners.keeper.connection import Connection, Input, Refusal
from spawners.keeper.output import Output
from spawners.keeper.system import POLLOUT, close, read, write
from spawners.keeper.terminal import Terminal
from spawners.keeper.wire import READ_SIZE

MYPY = False
if MYPY:
    from typing import Any

MAX_INPUT_QUEUE = 1024 * 1024
MAX_ANSWERS = 65536  # bytes waiting for a program that asks and does not read; then none are added


class Inputs(Output):
    """Input on its way into the program."""

    def on_stdin(self, fd: int) -> None:
        """Move input along: first the bytes given at the start, then INPUT frames in order."""
        try:
            while self.fill_head():
                self.head = self.head[write(fd, self.head) :]
            while self.inputs:
                first = self.inputs[0]
                first.written += write(fd, first.data[first.written :])
                if first.written == len(first.data):
                    self.inputs.pop(0)
                    unread = self.terminal.unread() if self.terminal else 0
                    if first.connection is not None:
                        self.done(
                            first.connection, first.request, {"written": first.written, "unread": unread}
                        )
        except BlockingIOError:
            return
        except OSError:
            self.close_stdin()
            return
        if self.closing_stdin:
            self.close_stdin()
        else:
            self.poll.modify(fd, 0)

    def fill_head(self) -> bool:
        """Whether bytes given at the start are still to be written; at most one piece is in memory."""
        if not self.head and self.stdin_file >= 0:
            self.head = read(self.stdin_file, READ_SIZE)
            if not self.head:
                close(self.stdin_file)
                self.stdin_file = -1
        return bool(self.head)

    def close_stdin(self) -> None:
        if self.stdin_fd >= 0:
            self.unwatch(self.stdin_fd)
            close(self.stdin_fd)
            self.stdin_fd = -1
        if self.stdin_file >= 0:
            close(self.stdin_file)
            self.stdin_file = -1
        for waiting in self.inputs:
            if waiting.connection is not None:
                message = "the program no longer reads its input"
                self.refuse(waiting.connection, waiting.request, "ended", message)
        self.inputs = []

    def take_input(self, connection: Connection, request: int, data: bytes) -> None:
        if not self.alive or self.stdin_fd < 0 or self.closing_stdin:
            code = "ended" if self.alive is False or self.spec["stdin"] == "live" else "no_stdin"
            raise Refusal(code, "the program has no open input")
        if sum(len(waiting.data) for waiting in self.inputs) + len(data) > MAX_INPUT_QUEUE:
            raise Refusal("busy", "too much input is waiting for the program")
        if self.terminal:
            self.terminal.put_in(data)
        self.inputs.append(Input(connection, request, data))
        self.poll.modify(self.stdin_fd, POLLOUT)

    def take_given(self, connection: Connection, request: int, offset: int, data: bytes) -> None:
        """As `take_input`, of the bytes from `offset` on: those that were given before are skipped."""
        if offset > self.given:
            raise Refusal("gap", "only %d bytes were given so far, not %d" % (self.given, offset))
        fresh = data[self.given - offset :]
        if not fresh:
            self.done(connection, request, {"written": len(data), "unread": 0})
            return
        self.take_input(connection, request, fresh)
        self.inputs[-1].given = True
        self.given += len(fresh)

    def push_input(self, data: bytes) -> None:
        """Put bytes that nobody waits for behind the input that is on its way."""
        if data and self.terminal and self.stdin_fd >= 0:
            self.terminal.put_in(data)
            self.inputs.append(Input(None, 0, data))
            self.poll.modify(self.stdin_fd, POLLOUT)

    def push_answer(self, data: bytes) -> None:
        waiting = sum([len(item.data) for item in self.inputs if item.connection is None])
        if waiting <= MAX_ANSWERS:
            self.push_input(data)

    def push_signal(self, connection: Connection, request: int, key: bytes) -> None:
        """Put ^C, ^Z or ^\\ in front of the input that is on its way: behind what the program does not read
        it would be of no use. What this person has typed before is thrown away, as by a real terminal."""
        assert self.terminal is not None
        for waiting in [i for i in self.inputs if i.connection is connection]:
            self.inputs.remove(waiting)
            self.done(connection, waiting.request, {"written": waiting.written, "unread": 0})
        self.terminal.drop_unread()
        self.terminal.line_begun = False
        self.inputs.insert(0, Input(connection, request, key))
        self.poll.modify(self.stdin_fd, POLLOUT)

    def do_cancel_input(self, connection: Connection, asked: "dict[str, Any]") -> "dict[str, Any]":
        for waiting in self.inputs:
            if waiting.connection is connection and waiting.request == asked["input"]:
                self.inputs.remove(waiting)
                return {"written": waiting.written}
        return {"written": None}

    def do_close_stdin(self, _: "dict[str, Any]") -> "dict[str, Any]":
        if self.terminal:
            self.push_input(self.terminal.end_of_file())
            return {}
        self.closing_stdin = True
        if self.stdin_fd >= 0:
            self.poll.modify(self.stdin_fd, POLLOUT)
        return {}

    def require_terminal(self) -> Terminal:
        if self.terminal is None:
            raise Refusal("no_terminal", "this agent runs on pipes and has no terminal")
        return self.terminal
