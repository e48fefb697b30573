"""Those who look at the program's terminal: sizes, keys, and whose turn it is to type."""

import _struct
import time

from spawners.keeper.connection import Connection, Refusal
from spawners.keeper.input import Inputs
from spawners.keeper.keys import only_reports
from spawners.keeper.protocol import SIZED
from spawners.keeper.terminal import Viewer, checked_size

MYPY = False
if MYPY:
    from typing import Any

MAX_VIEWERS = 48  # of them; the rest is for daemons and for who only asks
MAX_CANON = (
    4095  # bytes of a line that the kernel's line editor holds (N_TTY_BUF_SIZE - 1); it drops the rest
)


class Viewers(Inputs):
    """Viewers of the terminal."""

    def take_keys(self, connection: Connection, request: int, data: bytes, automatic: bool) -> None:
        terminal = self.require_terminal()
        viewer = connection.viewer
        canonical = terminal.settings()[0]
        if automatic:
            wait = terminal.free_in_ms()
            if wait:
                raise Refusal("typing", "%d %s is typing into the terminal" % (wait, terminal.typed_by))
            if canonical and any(len(line) > MAX_CANON for line in data.splitlines()):
                message = "a line of more than %d bytes would be cut by the terminal" % MAX_CANON
                raise Refusal("failed", message)
        elif viewer is None or viewer.read_only:
            raise Refusal("read_only", "this viewer may only look")
        elif not only_reports(data):
            terminal.typed(viewer.name, data)
            viewer.active = time.monotonic()
            self.negotiate()
            if self.alive and self.stdin_fd >= 0 and terminal.is_signal(data):
                self.push_signal(connection, request, data)
                return
        self.take_input(connection, request, data)

    def negotiate(self) -> None:
        """Give the terminal the size that its viewers agree on by the rule of the spec."""
        viewers = [c.viewer for c in self.connections.values() if c.viewer and not c.viewer.read_only]
        if not viewers or self.terminal is None:
            return
        if self.spec.get("sizing") == "smallest":
            self.give_size(min(v.rows for v in viewers), min(v.columns for v in viewers))
        else:
            last = max(viewers, key=lambda viewer: viewer.active)
            self.give_size(last.rows, last.columns)

    def give_size(self, rows: int, columns: int) -> None:
        if self.terminal and self.alive and self.terminal.resize(rows, columns, self.spool.end):
            for connection in list(self.connections.values()):
                if connection.viewer is not None:
                    self.send_raw(connection, SIZED, _struct.pack("!QHH", self.spool.end, rows, columns))

    def do_attach(self, connection: Connection, asked: "dict[str, Any]") -> "dict[str, Any]":
        terminal = self.require_terminal()
        if not self.alive:
            raise Refusal("ended", "the program has ended")
        if len([c for c in self.connections.values() if c.viewer]) >= MAX_VIEWERS and not connection.viewer:
            raise Refusal("busy", "%d viewers are the most a terminal may have" % MAX_VIEWERS)
        connection.viewer = Viewer(asked)
        self.negotiate()
        return {"rows": terminal.rows, "columns": terminal.columns, "spoolEnd": self.spool.end}

    def do_resize(self, connection: Connection, asked: "dict[str, Any]") -> "dict[str, Any]":
        """Of the viewer's own terminal; from one who does not look, of the program's."""
        terminal = self.require_terminal()
        rows, columns = checked_size(asked)
        if not self.alive:
            raise Refusal("ended", "the program has ended")
        if connection.viewer is not None:
            connection.viewer.rows, connection.viewer.columns = rows, columns
            connection.viewer.active = time.monotonic()
            self.negotiate()
        else:
            self.give_size(rows, columns)
            self.negotiate()
        return {"rows": terminal.rows, "columns": terminal.columns}

    def terminal_state(self) -> "dict[str, Any]":
        terminal = self.require_terminal()
        canonical, echo, _ = terminal.settings()
        viewers = [c.viewer for c in self.connections.values() if c.viewer]
        return {
            "rows": terminal.rows,
            "columns": terminal.columns,
            "canonical": canonical,
            "echo": echo,
            "unread": terminal.unread(),
            "viewers": [
                {"name": v.name, "rows": v.rows, "columns": v.columns, "readOnly": v.read_only}
                for v in viewers
            ],
            "typing": terminal.typed_by if terminal.free_in_ms() else "",
            "freeInMs": terminal.free_in_ms(),
        }

    def do_terminal(self, _: Connection, asked: "dict[str, Any]") -> "dict[str, Any]":
        state = self.terminal_state()
        if not self.alive:
            raise Refusal("ended", "the program has ended")
        return state
