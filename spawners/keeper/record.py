"""How the program ended, made durable."""

import select
import time

from spawners.keeper.files import dumps, unlink, write_all
from spawners.keeper.ladder import Ladder
from spawners.keeper.protocol import EXIT, VERSION
from spawners.keeper.system import (
    SIGKILL,
    exists,
    failpoint,
    fsync,
    lseek,
    rename,
    sync_directory,
    truncate,
)

RESERVE = 4096  # for exit.json: one block
RETRY_S = 5.0  # between attempts to write an exit record on a full disk


class Record(Ladder):
    """The exit record."""

    def record_exit(self) -> None:
        ended = self.ended
        assert ended is not None
        oom, note = "", ended.note
        if ended.signal == SIGKILL and self.pid not in self.killed:
            oom, note = self.memory.verdict(self.pid, self.identity["started"])
        stop = None
        if self.ended_by:
            stop = {"stage": self.rung, "killed": list(self.killed.values()), "survivors": self.survivors}
        elif self.survivors:
            note = "still alive: " + ", ".join(self.survivors)
        self.exit = {
            "version": VERSION,
            "code": ended.code,
            "signal": ended.signal,
            "atMs": ended.at_ms,
            "startedMs": self.identity["startedMs"],
            "endedBy": self.ended_by,
            "stop": stop,
            "oom": oom,
            "note": note,
            "leftovers": list(self.leftovers.values()),
            "spoolEnd": self.spool.end,
            "dropped": self.spool.dropped,
            "maxRssBytes": ended.max_rss,
            "cpuMs": ended.cpu_ms,
        }
        self.write_record()
        for connection in list(self.connections.values()):
            self.send(connection, EXIT, dict(self.exit, durable=self.durable))
        self.announce()

    def write_record(self) -> None:
        """Into the space reserved at the start, made durable, then under its name."""
        assert self.exit is not None
        try:
            lseek(self.reserve_fd, 0, 0)
            data = dumps(self.exit).encode()
            if len(data) > RESERVE:  # hundreds of names: keep the verdict within what is reserved
                short = dict(self.exit, leftovers=self.exit["leftovers"][:20])
                if short["stop"]:
                    short["stop"] = dict(short["stop"], killed=short["stop"]["killed"][:20])
                self.exit, data = short, dumps(short).encode()
            write_all(self.reserve_fd, data)
            truncate(self.reserve_fd, len(data))
            fsync(self.reserve_fd)
            rename(self.directory + "/exit.reserved", self.directory + "/exit.json")
            sync_directory(self.directory)
            self.durable = True
            failpoint("after_exit_written")
        except OSError:
            self.retry_at = time.monotonic() + RETRY_S
            self.durable = not exists(self.directory)  # deleted under us: nobody can ask for it any more

    def say_goodbye(self) -> None:
        if self.listener is not None:
            self.listener.close()
        unlink(self.spec["socket"])
        deadline = time.monotonic() + 0.2
        waiting = [c for c in self.connections.values() if not c.flush() or c.unsent]
        while waiting and time.monotonic() < deadline:
            select.select([], [c.socket.fileno() for c in waiting], [], 0.05)
            waiting = [c for c in waiting if c.flush() and c.unsent]
