"""From a spec on disk to a running program."""

import time

from spawners.keeper.files import drain, dumps, loads, unlink, write_all
from spawners.keeper.host import (
    Listener,
    MemoryEvidence,
    NotStarted,
    Tree,
    confine,
    make_way,
    open_pipes,
    prepare,
    release,
    started_of,
)
from spawners.keeper.protocol import BORN, FAILED, GO, HELLO, PTY
from spawners.keeper.record import RESERVE, Record
from spawners.keeper.system import (
    CREATE,
    POLLIN,
    POLLOUT,
    READ,
    Poll,
    close,
    failpoint,
    lseek,
    now_ms,
    open_file,
)
from spawners.keeper.terminal import Terminal
from spawners.keeper.wire import MAX_CONNECTIONS, READ_SIZE

CHILD_SIZE = 1024  # child.json is padded to this, so that its rewriting never needs space
AT_GATE_MS = 2  # a daemon that has nothing to arrange answers sooner


class Abandoned(Exception):
    """Nobody waits any more for what has not begun."""


class Birth(Record):
    """Everything up to a running program."""

    def start(self, gate: bool) -> bool:
        """Everything up to a running program; False, with nothing left behind, if it cannot be executed.

        Raises Abandoned if it has not been let through the gate.
        """
        cpus: set[int] = set()
        try:
            if gate:
                failpoint("before_born")
                self.send(self.birth, BORN, {"pid": self.me})
                failpoint("after_born")
            self.prepare()
            if gate:
                cpus = self.pass_gate()
            self.memory = MemoryEvidence()
            self.listen()
            failpoint("before_claim")
            self.reserve()
            self.claim()
            failpoint("after_claim")
            stdio = self.open_stdio()
            try:
                self.pid = self.tree.start(self.spec, stdio, self.wake_fd)
            finally:
                release(cpus)
                for fd in set(stdio) if isinstance(stdio, list) else ():
                    close(fd)
        except NotStarted as error:
            self.fail(error.args[0], error.args[1], error.args[2])
            return False
        except OSError as error:
            self.fail(error.errno, "cannot prepare %s: %s" % (self.directory, error.strerror), [])
            return False
        failpoint("after_exec")
        self.alive = True
        self.identity.update(pid=self.pid, started=started_of(self.pid), startedMs=now_ms())
        self.write_child()
        failpoint("after_child_written")
        if self.spec.get("timeoutMs") is not None:
            self.timeout_at = time.monotonic() + self.spec["timeoutMs"] / 1000
        self.send(self.birth, HELLO, self.hello())
        return True

    def prepare(self) -> None:
        self.wake_fd = prepare(self.on_terminate, self.on_unheard, self.spec.get("openFiles"))
        self.watch(self.wake_fd, POLLIN, self.on_wake)
        self.tree = Tree(self.directory)

    def reserve(self) -> None:
        """Take the space for the exit record."""
        self.reserve_fd = open_file(self.directory + "/exit.reserved", CREATE)
        write_all(self.reserve_fd, b" " * RESERVE)  # works on every file system, unlike fallocate

    def pass_gate(self) -> "set[int]":
        """Wait until the daemon, which has been told BORN, says GO; what that says is done.

        Returns the CPUs to go back to after exec. Raises Abandoned, with nothing touched, if the daemon
        is gone, has found another way, or if the system wants us to end.
        """
        poll = Poll()
        for fd in (self.birth.socket.fileno(), self.wake_fd):
            poll.register(fd, POLLIN)
        while not self.terminated:
            if not poll.poll(AT_GATE_MS):
                make_way()
                poll.poll()
            drain(self.wake_fd)
            try:
                data = self.birth.socket.recv(READ_SIZE)
                frames = self.birth.frames(data)
            except BlockingIOError:
                continue
            except (OSError, ValueError):
                break
            if not data:
                break
            for kind, payload in frames:
                if kind == GO:
                    failpoint("after_go")
                    count = loads(payload)["cpus"]
                    return confine(count) if count else set()
        raise Abandoned

    def listen(self) -> None:
        listener = self.listener = Listener(self.spec["socket"], MAX_CONNECTIONS)
        self.watch(listener.fileno(), POLLIN, lambda _: self.on_connect(listener))

    def listen_again(self) -> None:
        """A daemon cannot reach us although we live: something has deleted the socket's file."""
        old = self.listener
        assert old is not None
        try:
            self.listen()
        except OSError:
            return  # it will ask again
        self.unwatch(old.fileno())
        old.close()

    def claim(self) -> None:
        """From here on nobody may start this spec again: it may have been executed."""
        self.child_fd = open_file(self.directory + "/child.json", CREATE)
        self.write_child()

    def write_child(self) -> None:
        """In place and padded: one write into a block that exists cannot fail for space nor be torn."""
        lseek(self.child_fd, 0, 0)
        write_all(self.child_fd, dumps(self.identity).encode().ljust(CHILD_SIZE))

    def open_stdio(self) -> "list[int] | Terminal":
        """The three files of the program, in order, or its terminal; our ends are watched from here on."""
        if self.spec["size"]:
            return self.open_terminal(self.spec["size"])
        kind = self.spec["stdin"]
        source = None if kind == "live" else self.directory + "/stdin" if kind == "file" else ""
        fds, self.stdin_fd, self.pipes = open_pipes(source)
        if self.stdin_fd >= 0:
            if self.spec["stdinFile"]:
                self.stdin_file = open_file(self.directory + "/stdin", READ)
            self.watch(self.stdin_fd, POLLOUT if self.stdin_file >= 0 else 0, self.on_stdin)
        for fd in self.pipes:
            self.watch(fd, POLLIN, self.on_output)
        return fds

    def open_terminal(self, size: "dict[str, int]") -> Terminal:
        self.terminal = Terminal(self.directory, size)
        self.spool.before_delete = self.terminal.before_delete
        self.pipes[self.terminal.master] = PTY
        self.watch(self.terminal.master, POLLIN, self.on_output)
        self.stdin_fd = self.terminal.keyboard
        self.watch(self.stdin_fd, 0, self.on_stdin)
        return self.terminal

    def fail(self, number: "int | None", message: str, searched: "list[str]") -> None:
        """Undo what `prepare` and `claim` made, then say why; the lock is freed by leaving."""
        for name in ("exit.reserved", "child.json", "sizes"):
            unlink(self.directory + "/" + name)
        self.send(self.birth, FAILED, {"errno": number, "message": message, "searched": searched})

    def on_terminate(self, *_: object) -> None:
        self.terminated = True

    def on_unheard(self, *_: object) -> None:
        self.unheard = True

    def on_wake(self, fd: int) -> None:
        drain(fd)
        self.reap()
