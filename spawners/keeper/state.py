"""What a keeper knows, and the files it watches."""

import time

from spawners.keeper.files import loads, read_file
from spawners.keeper.host import boot_id, started_of
from spawners.keeper.spool import Spool
from spawners.keeper.system import Poll, getpid

MYPY = False
if MYPY:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from spawners.keeper.connection import Connection, Input
    from spawners.keeper.host import Ended, Listener, MemoryEvidence, Tree
    from spawners.keeper.terminal import Terminal

BIRTH_HOLD_S = 5.0  # nothing is rotated away before the one who spawned had time to follow


class State:
    """The attributes of a keeper. The classes that build on it each add one of its concerns."""

    def __init__(self, directory: str, control: "_socket.socket") -> None:
        self.directory = directory
        self.spec: dict[str, Any] = loads(read_file(directory + "/spec.json"))
        self.me = getpid()
        self.identity: dict[str, Any] = {
            "keeperPid": self.me,
            "keeperStarted": started_of(self.me),
            "pid": None,
            "started": 0,
            "bootId": boot_id(),
            "startedMs": 0,
        }
        self.pid = 0
        self.tree: Tree  # from `prepare` on, like these
        self.memory: MemoryEvidence
        self.listener: Listener | None = None
        self.reserve_fd = self.child_fd = self.wake_fd = -1
        self.poll = Poll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.connections: dict[int, Connection] = {}
        self.pipes: dict[int, int] = {}  # fd → stream
        self.stdin_fd = self.stdin_file = -1
        self.inputs: list[Input] = []
        self.closing_stdin = False
        self.given = 0  # bytes taken by GIVE so far
        self.head = b""
        self.spool = Spool(directory, self.spec["spoolBytes"], self.spec["heldBytes"])
        self.spool.held = self.smallest_hold
        self.terminal: Terminal | None = None
        self.fresh: tuple[int, bytes] | None = None  # what was read just now, for those who are up to date
        self.alive = False
        self.ended: Ended | None = None
        self.exit: dict[str, Any] | None = None
        self.durable = False
        self.leaving = False
        self.terminated = self.unheard = False  # set by signal handlers, acted on by `tick`
        self.ended_by: str | None = None
        self.timeout_at: float | None = None
        self.drain_at: float | None = None
        self.retry_at: float | None = None
        # the stop ladder: "" → interrupt → terminate → kill; `rung_at` is when the next one is due
        self.rung = ""
        self.rung_at: float | None = None
        self.terminate_ms = 0
        self.kill_began = 0.0
        self.stopping = False
        self.killed: dict[int, str] = {}
        self.leftovers: dict[int, str] = {}
        self.survivors: list[str] = []
        self.gave_up = False
        self.birth = self.adopt(control)
        self.birth.hold, self.birth.hold_until = 0, time.monotonic() + BIRTH_HOLD_S

    def watch(self, fd: int, events: int, handler: "Callable[[int], None]") -> None:
        self.handlers[fd] = handler
        self.poll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        del self.handlers[fd]
        self.poll.unregister(fd)

    # What classes further down the line define and earlier ones call.

    def adopt(self, connected: "_socket.socket") -> "Connection":
        raise NotImplementedError

    def answer(self, connection: "Connection", kind: int, payload: bytes) -> None:
        raise NotImplementedError

    def smallest_hold(self) -> int:
        raise NotImplementedError

    def output_has_ended(self) -> bool:
        raise NotImplementedError

    def terminal_state(self) -> "dict[str, Any]":
        raise NotImplementedError

    def negotiate(self) -> None:
        raise NotImplementedError

    def ask(self) -> None:
        raise NotImplementedError

    def ask_anew(self) -> None:
        raise NotImplementedError
