# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""From a spec on disk to a running program."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import _socket
import posix
import resource  # `wait3` would import it at its first call, when this Python may have been replaced
import select
import time

from spawners.keeper.execute import NotStarted, confine, execute, make_way, release
from spawners.keeper.files import drain, dumps, loads, unlink, write_all
from spawners.keeper.memory import MemoryEvidence
from spawners.keeper.processes import become_subreaper, expect, started_of
from spawners.keeper.protocol import BORN, FAILED, GO, HELLO, PTY, STDERR, STDOUT
from spawners.keeper.record import RESERVE, Record
from spawners.keeper.system import SIGINT, SIGTERM, failpoint, now_ms
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
                self.pid = execute(self.spec, stdio)
            finally:
                make_way()
                release(cpus)
                for fd in set(stdio) if isinstance(stdio, list) else ():
                    posix.close(fd)
        except NotStarted as error:
            self.fail(error.args[0], error.args[1], error.args[2])
            return False
        except OSError as error:
            self.fail(error.errno, "cannot prepare %s: %s" % (self.directory, error.strerror), [])
            return False
        failpoint("after_exec")
        self.alive = True
        expect(self.pid, self.spec["env"])
        self.identity.update(pid=self.pid, started=started_of(self.pid), startedMs=now_ms())
        self.write_child()
        failpoint("after_child_written")
        if self.spec.get("timeoutMs") is not None:
            self.timeout_at = time.monotonic() + self.spec["timeoutMs"] / 1000
        self.send(self.birth, HELLO, self.hello())
        return True

    def prepare(self) -> None:
        self.wake_fd, wake_write = posix.pipe()
        posix.set_blocking(self.wake_fd, False)
        posix.set_blocking(wake_write, False)
        _signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.signal(SIGTERM, self.on_sigterm)
        _signal.signal(_signal.SIGUSR1, self.on_sigusr1)
        for number in (_signal.SIGHUP, SIGINT, _signal.SIGQUIT, _signal.SIGTSTP):
            _signal.signal(number, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
        self.watch(self.wake_fd, select.POLLIN, self.on_wake)
        if self.spec.get("openFiles"):
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(self.spec["openFiles"], hard), hard))
        self.subreaper = become_subreaper()

    def reserve(self) -> None:
        """Take the space for the exit record."""
        self.reserve_fd = posix.open(self.directory + "/exit.reserved", self.creation_flags(), 0o600)
        write_all(self.reserve_fd, b" " * RESERVE)  # works on every file system, unlike fallocate

    def pass_gate(self) -> "set[int]":
        """Wait until the daemon, which has been told BORN, says GO; what that says is done.

        Returns the CPUs to go back to after exec. Raises Abandoned, with nothing touched, if the daemon
        is gone, has found another way, or if the system wants us to end.
        """
        poll = select.poll()
        for fd in (self.birth.socket.fileno(), self.wake_fd):
            poll.register(fd, select.POLLIN)
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

    @staticmethod
    def creation_flags() -> int:
        return posix.O_RDWR | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC

    def listen(self) -> None:
        path = self.spec["socket"]
        unlink(path)  # the lock says that nobody listens there
        self.listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        mask = posix.umask(0o177)
        try:
            self.listener.bind(path)
        finally:
            posix.umask(mask)
        self.listener.listen(MAX_CONNECTIONS)
        self.listener.setblocking(False)
        self.watch(self.listener.fileno(), select.POLLIN, self.on_connect)

    def listen_again(self) -> None:
        """A daemon cannot reach us although we live: something has deleted the socket's file."""
        self.unwatch(self.listener.fileno())
        self.listener.close()
        try:
            self.listen()
        except OSError:
            self.watch(self.listener.fileno(), 0, self.on_connect)  # it will ask again

    def claim(self) -> None:
        """From here on nobody may start this spec again: it may have been executed."""
        self.child_fd = posix.open(self.directory + "/child.json", self.creation_flags(), 0o600)
        self.write_child()

    def write_child(self) -> None:
        """In place and padded: one write into a block that exists cannot fail for space nor be torn."""
        posix.lseek(self.child_fd, 0, 0)
        write_all(self.child_fd, dumps(self.identity).encode().ljust(CHILD_SIZE))

    def open_stdio(self) -> "list[int] | str":
        """The three files of the program, in order, or the path of its terminal; our ends are watched
        from here on."""
        if self.spec["size"]:
            return self.open_terminal(self.spec["size"])
        stdin = self.spec["stdin"]
        if stdin == "live":
            inner, self.stdin_fd = posix.pipe()
            posix.set_blocking(self.stdin_fd, False)
            if self.spec["stdinFile"]:
                self.stdin_file = posix.open(self.directory + "/stdin", posix.O_RDONLY | posix.O_CLOEXEC)
            self.watch(self.stdin_fd, select.POLLOUT if self.stdin_file >= 0 else 0, self.on_stdin)
        else:
            path = self.directory + "/stdin" if stdin == "file" else "/dev/null"
            inner = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        fds = [inner]
        for stream in (STDOUT, STDERR):
            outer, inner = posix.pipe()
            posix.set_blocking(outer, False)
            self.pipes[outer] = stream
            self.watch(outer, select.POLLIN, self.on_output)
            fds.append(inner)
        return fds

    def open_terminal(self, size: "dict[str, int]") -> str:
        self.terminal = Terminal(self.directory, size)
        self.spool.before_delete = self.terminal.before_delete
        self.pipes[self.terminal.master] = PTY
        self.watch(self.terminal.master, select.POLLIN, self.on_output)
        self.stdin_fd = posix.dup(self.terminal.master)  # so that each direction is watched by itself
        self.watch(self.stdin_fd, 0, self.on_stdin)
        return self.terminal.path

    def fail(self, number: "int | None", message: str, searched: "list[str]") -> None:
        """Undo what `prepare` and `claim` made, then say why; the lock is freed by leaving."""
        for name in ("exit.reserved", "child.json", "sizes"):
            unlink(self.directory + "/" + name)
        unlink(self.spec["socket"])
        self.send(self.birth, FAILED, {"errno": number, "message": message, "searched": searched})

    def on_sigterm(self, *_: object) -> None:
        self.terminated = True

    def on_sigusr1(self, *_: object) -> None:
        self.unheard = True

    def on_wake(self, fd: int) -> None:
        drain(fd)
        self.reap()
