# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""How the program ended, made durable."""

import posix
import select
import time

from spawners.keeper.files import dumps, sync, unlink, write_all
from spawners.keeper.ladder import Ladder
from spawners.keeper.protocol import EXIT, VERSION
from spawners.keeper.system import LINUX, SIGKILL, failpoint

RESERVE = 4096  # for exit.json: one block
RETRY_S = 5.0  # between attempts to write an exit record on a full disk


class Record(Ladder):
    """The exit record."""

    def record_exit(self) -> None:
        signalled = posix.WIFSIGNALED(self.status)
        number = posix.WTERMSIG(self.status) if signalled else None
        oom = note = ""
        if number == SIGKILL and self.pid not in self.killed:
            oom, note = self.memory.verdict(self.pid, self.identity["started"])
        stop = None
        if self.ended_by:
            stop = {"stage": self.rung, "killed": list(self.killed.values()), "survivors": self.survivors}
        elif self.survivors:
            note = "still alive: " + ", ".join(self.survivors)
        scale = 1024 if LINUX else 1  # Linux counts in KiB, macOS in bytes
        self.exit = {
            "version": VERSION,
            "code": None if signalled else posix.WEXITSTATUS(self.status),
            "signal": number,
            "atMs": self.ended_ms,
            "startedMs": self.identity["startedMs"],
            "endedBy": self.ended_by,
            "stop": stop,
            "oom": oom,
            "note": note,
            "leftovers": list(self.leftovers.values()),
            "spoolEnd": self.spool.end,
            "dropped": self.spool.dropped,
            "maxRssBytes": self.usage.ru_maxrss * scale,
            "cpuMs": int((self.usage.ru_utime + self.usage.ru_stime) * 1000),
        }
        self.write_record()
        for connection in list(self.connections.values()):
            self.send(connection, EXIT, dict(self.exit, durable=self.durable))
        self.announce()

    def write_record(self) -> None:
        """Into the space reserved at the start, made durable, then under its name."""
        assert self.exit is not None
        try:
            posix.lseek(self.reserve_fd, 0, 0)
            data = dumps(self.exit).encode()
            if len(data) > RESERVE:  # hundreds of names: keep the verdict within what is reserved
                short = dict(self.exit, leftovers=self.exit["leftovers"][:20])
                if short["stop"]:
                    short["stop"] = dict(short["stop"], killed=short["stop"]["killed"][:20])
                self.exit, data = short, dumps(short).encode()
            write_all(self.reserve_fd, data)
            posix.ftruncate(self.reserve_fd, len(data))
            sync(self.reserve_fd)
            posix.rename(self.directory + "/exit.reserved", self.directory + "/exit.json")
            self.sync_directory()
            self.durable = True
            failpoint("after_exit_written")
        except OSError:
            self.retry_at = time.monotonic() + RETRY_S
            self.durable = not self.directory_exists()  # deleted under us: nobody can ask for it any more

    def directory_exists(self) -> bool:
        try:
            posix.stat(self.directory)
        except OSError:
            return False
        return True

    def sync_directory(self) -> None:
        """Best effort: the record has its name already, only a power loss right now could undo that."""
        fd = posix.open(self.directory, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            posix.fsync(fd)
        except OSError:
            pass
        finally:
            posix.close(fd)

    def say_goodbye(self) -> None:
        unlink(self.spec["socket"])
        deadline = time.monotonic() + 0.2
        waiting = [c for c in self.connections.values() if not c.flush() or c.unsent]
        while waiting and time.monotonic() < deadline:
            select.select([], [c.socket.fileno() for c in waiting], [], 0.05)
            waiting = [c for c in waiting if c.flush() and c.unsent]
