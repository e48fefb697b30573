"""Frozen values that go into a spawner and come out of it. All of them can be written down."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Chunk",
    "Exit",
    "Gap",
    "Identity",
    "Launch",
    "Resized",
    "SessionRef",
    "Size",
    "Stdin",
    "StopReport",
    "Stream",
    "TerminalState",
    "Typed",
    "Viewer",
]

DEFAULT_SPOOL_BYTES = 64 * 1024 * 1024
MAX_CELLS = 1000
"""Rows or columns of a terminal: beyond any real one, small enough that emulating it costs little."""


class Stream(enum.IntEnum):
    """Where a piece of output came from. The numbers stand in spool index files and in frames."""

    PTY = 0
    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size in character cells; both from 1 to `MAX_CELLS`."""

    rows: int = 24
    columns: int = 80

    @property
    def valid(self) -> bool:
        return 1 <= self.rows <= MAX_CELLS and 1 <= self.columns <= MAX_CELLS


@dataclass(frozen=True, slots=True)
class Stdin:
    """What a headless agent reads: nothing (`/dev/null`), bytes known at the start, or a live pipe.

    `data` is delivered whole whatever its length, then the pipe is closed, unless `live` keeps it
    open for `Session.write`. `Stdin()` is closed from the start, which real CLIs need: with an
    idle pipe `codex exec` waits for ever and `claude -p` three seconds.
    """

    data: bytes = b""
    live: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """One program to start, with everything decided.

    `env` is the whole environment, nothing is inherited. `argv[0]` without a slash is looked up on
    `env["PATH"]`. `timeout_s` is counted from exec by the keeper, so it holds while no daemon runs.
    `size` asks for a PTY; None means pipes. `leftovers`: `end` kills what the program leaves behind
    when it exits, `keep` lets it live. `spool_bytes` bounds the output kept on disk. `open_files` is
    the soft limit of open files that it starts with; None: that of whoever spawns it.

    `sizing` says whose size a PTY has while viewers are attached: `active` (who typed, attached or
    resized last) or `smallest`; read-only viewers never count, and without viewers the last size stays.
    `memory_bytes` and `cpus` limit the tree where a cgroup can be made for it; see `limits.py`.
    """

    agent_id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    stdin: Stdin = Stdin()
    timeout_s: float | None = None
    leftovers: str = "end"
    size: Size | None = None
    spool_bytes: int = DEFAULT_SPOOL_BYTES
    open_files: int | None = None
    sizing: str = "active"
    memory_bytes: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class SessionRef:
    """The handle of a session that can be written down: all a later daemon needs to find it again."""

    agent_id: str
    directory: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, told apart from a later one with the same number.

    `started` is opaque and compared only for equality (Linux: clock ticks since boot, field 22 of
    /proc/PID/stat; macOS: microseconds since the epoch).
    """

    pid: int
    started: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class StopReport:
    """What ending the tree took.

    `stage` is the last rung reached: `interrupt`, `terminate` or `kill`. `killed` names the
    processes that had to be killed, `survivors` those still alive when the keeper gave up (each as
    `pid name`); a stop with survivors has not succeeded.
    """

    stage: str
    killed: tuple[str, ...] = ()
    survivors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: the operating system's own words, with the evidence beside them.

    Exactly one of `code` and `signal` is set. `ended_by` is `stop`, `timeout` or `shutdown` (the
    keeper itself was told to end, as when the machine goes down) when the keeper signalled the
    program for that reason before it ended, else None: a program that ended by itself while a stop
    was on its way has ended by itself. `oom` is the evidence line when the kernel killed it for
    memory, else empty; `note` is a fact that proves nothing by itself, such as a shared cgroup's
    count of such kills having risen. `leftovers` names what was ended after the exit.
    `spool_end` is the offset behind the last byte of output and `dropped` how many of the bytes
    before it could not be stored.
    """

    code: int | None = None
    signal: int | None = None
    at_ms: int = 0
    started_ms: int = 0
    ended_by: str | None = None
    stop: StopReport | None = None
    oom: str = ""
    leftovers: tuple[str, ...] = field(default=())
    spool_end: int = 0
    dropped: int = 0
    max_rss_bytes: int = 0
    cpu_ms: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output bytes of one stream; `offset` is that of `data[0]` in the whole output of the agent."""

    offset: int
    stream: Stream
    data: bytes
    at_ms: int = 0

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes `offset` to `end` are no longer (rotated away) or never were (full disk) on disk."""

    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Resized:
    """The terminal had another `size` from `offset` of its output on; the first one is at offset 0."""

    offset: int
    size: Size
    at_ms: int = 0

    @property
    def end(self) -> int:
        return self.offset


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who attaches to a terminal: `name` is shown to others, `size` is that of their own."""

    name: str
    size: Size
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class TerminalState:
    """What the kernel and the keeper know of an agent's terminal, without looking at what it shows.

    `canonical` and `echo` are the line settings that the program has chosen: a full-screen program has
    neither, a password prompt is canonical without echo. `unread` bytes of input wait for the program.
    `typing` names the person who has the keyboard now and `free_in_ms` is how long automation has to wait
    for them if they type no more; empty and 0 while nobody does.
    """

    size: Size
    canonical: bool
    echo: bool
    unread: int
    viewers: tuple[Viewer, ...] = ()
    typing: str = ""
    free_in_ms: int = 0

    @property
    def hidden_input(self) -> bool:
        """Whether it looks like a question for a password."""
        return self.canonical and not self.echo


@dataclass(frozen=True, slots=True)
class Typed:
    """What became of input: how many bytes the kernel took, and how many the program has not read yet."""

    written: int
    unread: int
