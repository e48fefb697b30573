"""Frames in and out of a keeper."""

from spawners.keeper.connection import Connection
from spawners.keeper.files import dumps
from spawners.keeper.protocol import DONE, HEADER, HELLO, REFUSED, VERSION
from spawners.keeper.state import State
from spawners.keeper.system import POLLIN, POLLOUT, complain

MYPY = False
if MYPY:
    import _socket
    from typing import Any

    from spawners.keeper.host import Listener

READ_SIZE = 65536  # what a pipe holds on Linux
MAX_CONNECTIONS = 64


class Wire(State):
    """Connections, and what is said over them."""

    def adopt(self, connected: "_socket.socket") -> Connection:
        connection = Connection(connected)
        self.connections[connected.fileno()] = connection
        self.watch(connected.fileno(), POLLIN, self.on_frame)
        return connection

    def on_connect(self, listener: "Listener") -> None:
        try:
            connection = self.adopt(listener.accept())
        except OSError:
            return
        connection.owes = listener.token
        if len(self.connections) > MAX_CONNECTIONS:  # strangers first: anybody may open as many as they like
            self.drop(next((one for one in self.connections.values() if one.owes), connection))
        if not connection.owes:
            self.send(connection, HELLO, self.hello())

    def on_frame(self, fd: int) -> None:
        connection = self.connections[fd]
        if connection.unsent and not self.flushed(connection):
            return
        try:
            data = connection.socket.recv(READ_SIZE)
            if not data:
                raise ValueError("closed")
            if connection.owes:
                data = connection.prove(data)
                if connection.owes:
                    return
                self.send(connection, HELLO, self.hello())
            frames = connection.frames(data)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self.drop(connection)
            return
        try:
            for kind, payload in frames:
                self.answer(connection, kind, payload)
        except Exception as error:  # whatever one connection asks must never end the keeper
            complain("request: %r\n" % (error,))
            self.drop(connection)

    def flushed(self, connection: Connection) -> bool:
        """Send what waits; False if that dropped the connection."""
        if not connection.flush():
            self.drop(connection)
            return False
        if connection.socket.fileno() in self.handlers:
            events = POLLIN | (POLLOUT if connection.unsent else 0)
            self.poll.modify(connection.socket.fileno(), events)
        return True

    def drop(self, connection: Connection) -> None:
        fd = connection.socket.fileno()
        if self.connections.pop(fd, None) is not None:
            self.unwatch(fd)
            connection.socket.close()
            self.inputs = [i for i in self.inputs if i.connection is not connection or i.written or i.given]
            if connection.viewer is not None:
                connection.viewer = None
                self.negotiate()
            if connection.responds:
                connection.responds = 0
                self.ask_anew()

    def send_raw(self, connection: Connection, kind: int, payload: bytes) -> None:
        if connection.socket.fileno() < 0:
            return
        connection.unsent += HEADER.pack(len(payload), kind) + payload
        self.flushed(connection)

    def send(self, connection: Connection, kind: int, value: "dict[str, Any]") -> None:
        self.send_raw(connection, kind, dumps(value).encode())

    def done(self, connection: Connection, request: int, value: "dict[str, Any]") -> None:
        self.send(connection, DONE, dict(value, id=request))

    def refuse(self, connection: Connection, request: int, code: str, message: str) -> None:
        self.send(connection, REFUSED, {"id": request, "code": code, "message": message})

    def hello(self) -> "dict[str, Any]":
        return dict(
            self.identity,
            version=VERSION,
            agentId=self.spec["agentId"],
            state="running" if self.alive else "ending" if self.exit is None else "ended",
            stopping=self.rung if self.stopping else "",
            survivors=self.survivors,
            spoolEnd=self.spool.end,
            dropped=self.spool.dropped,
            outputEnded=self.output_has_ended(),
            terminal=self.terminal_state() if self.terminal else None,
            exit=self.exit,
            durable=self.durable,
        )
