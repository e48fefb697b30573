"""What the program writes: into the spool, and to those who wait for it."""

import _struct
import time

from spawners.keeper.connection import Connection
from spawners.keeper.protocol import DATA, GREW, PTY, RELEASE
from spawners.keeper.system import close, read
from spawners.keeper.wire import READ_SIZE, Wire

PTY_READS = 16  # a terminal gives at most 4,095 bytes at once: gather that many reads into one write
DRAIN_READS = 64  # four times the largest pipe a normal user can make


class Output(Wire):
    """Output, from pipes or a terminal."""

    def on_output(self, fd: int) -> None:
        if self.pipes[fd] == PTY:
            self.on_screen(fd)
            return
        try:
            data = read(fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.spool.append(self.pipes[fd], data)
        else:
            self.close_pipe(fd)
        self.announce()

    def on_screen(self, fd: int) -> None:
        """What the program wrote to its terminal; EIO says that nobody has it open any more."""
        parts, ended = [], False
        try:
            for _ in range(PTY_READS):
                part = read(fd, READ_SIZE)
                if not part:
                    ended = True
                    break
                parts.append(part)
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        data = b"".join(parts)
        if data:
            offset = self.spool.end
            self.spool.append(PTY, data)
            self.fresh = (offset, data)
            assert self.terminal is not None
            if self.terminal.queries.look(offset, data):
                self.ask()
        if ended:
            self.close_pipe(fd)
        self.announce()
        self.fresh = None

    def drain_present(self) -> None:
        """Read what is in the pipes now, without waiting for their end or for one who never stops writing."""
        for fd in list(self.pipes):
            for _ in range(DRAIN_READS):
                try:
                    data = read(fd, READ_SIZE)
                except OSError:
                    break
                if not data:
                    self.close_pipe(fd)
                    break
                self.spool.append(self.pipes[fd], data)

    def close_pipe(self, fd: int) -> None:
        self.unwatch(fd)
        close(fd)
        del self.pipes[fd]

    def close_pipes(self) -> None:
        self.drain_present()
        for fd in list(self.pipes):
            self.close_pipe(fd)
        self.announce()

    def output_has_ended(self) -> bool:
        return not self.pipes

    def announce(self) -> None:
        for connection in list(self.connections.values()):
            self.announce_to(connection)

    def announce_to(self, connection: Connection) -> None:
        if connection.wait is None:
            return
        final = self.output_has_ended()
        if connection.pushed and self.fresh and self.fresh[0] == connection.wait:
            connection.wait = None
            self.send_raw(connection, DATA, _struct.pack("!Q", self.fresh[0]) + self.fresh[1])
        elif final or self.spool.end > connection.wait:
            connection.wait = None
            self.send_raw(connection, GREW, _struct.pack("!QB", self.spool.end, final))

    def smallest_hold(self) -> int:
        now = time.monotonic()
        smallest = RELEASE
        for connection in self.connections.values():
            if connection.hold_until is None or now < connection.hold_until:
                smallest = min(smallest, connection.hold)
        if self.birth.hold_until is not None and now < self.birth.hold_until:
            smallest = 0  # even if the daemon that spawned has died since: the next one may follow
        return smallest
