# ruff: noqa: E402
import sys

assert sys.platform != "win32", "the keeper runs on POSIX systems only"

"""The keeper of one agent: starts it, holds its pipes or its terminal, writes down how it ended. Outlives
every daemon.

Run as `python -I -S -E -X utf8 keeper.py DIRECTORY LOCK_FD CONTROL_FD` (or its byte-compiled form). One
file and only stdlib modules written in C: each `.py` module of the library costs a millisecond and memory
in every keeper. What it promises:

- The open file behind LOCK_FD carries the lock of the directory for as long as this process lives.
- Files, in this order: `child.json` with pid null (about to execute) → exec → `child.json` with the
  identity → `spool.<offset>` and `index.<offset>` → `exit.json`, whose space is reserved before exec.
- It never waits for anyone: no read, write or connection can stall the program.
- It leaves when its program has never started, or when the exit record is on disk and the output has
  ended. A record that cannot be written is served over the socket until a daemon says COLLECTED.
- A stop that began is finished here, whatever happens to the daemon.
- Started with a further argument `gate`, it says BORN at once, and touches nothing before it hears GO on
  its control connection: until then it may be moved into another cgroup, or replaced by another keeper.
- SIGHUP and SIGINT are ignored; SIGTERM (system shutdown) ends the tree and is recorded as `shutdown`;
  SIGUSR1 makes it listen anew, for a daemon that found the socket's file deleted.

`--zygote FD` makes it a fork server for keepers instead (see `zygote`).

Everything about the frames is explained in `frames.py`.
"""

import _json
import _signal  # type: ignore[import-not-found, unused-ignore]
import _socket
import _struct
import errno
import fcntl
import gc
import posix
import resource  # `wait3` would import it at its first call, when this Python may have been replaced
import select
import termios
import time

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

VERSION = 1
HELLO, FAILED, GREW, DONE, REFUSED, EXIT, BORN = 1, 2, 3, 4, 5, 6, 7
DATA, ASKED, SIZED = 16, 17, 18
STATUS, INPUT, CANCEL_INPUT, CLOSE_STDIN, SIGNAL, STOP, MEMBERS, HOLD, WAIT, COLLECTED, GO = range(32, 43)
RESIZE, ATTACH, TYPE, WATCH, ANSWER, RESPOND, TERMINAL = range(48, 55)
MAX_PAYLOAD = 1024 * 1024
HEADER = _struct.Struct("!IB")
INDEX = _struct.Struct("!QQ")  # offset; milliseconds << 16 | stream << 8
RELEASE = 2**64 - 1
CMSG_CLOEXEC = 0x40000000  # MSG_CMSG_CLOEXEC, which typeshed does not list for `_socket`

PTY, STDOUT, STDERR = 0, 1, 2
READ_SIZE = 65536  # what a pipe holds on Linux
PTY_READS = 16  # a terminal gives at most 4,095 bytes at once: gather that many reads into one write
INDEX_MS = 10  # a new index record at least this often while output flows
SMALL_FILE = 8192
CHILD_SIZE = 1024  # child.json is padded to this, so that its rewriting never needs space
RESERVE = 4096  # for exit.json: one block
SEGMENTS = 4  # the spool rotates by quarters
BIRTH_HOLD_S = 5.0  # nothing is rotated away before the one who spawned had time to follow
LEFTOVER_S = 0.5  # between asking and killing what the program left behind
DRAIN_S = 2.0  # for output still in flight, or held open from outside the tree, after the tree is empty
DRAIN_READS = 64  # four times the largest pipe a normal user can make
PASS_S = 0.02  # between two kill passes
AT_GATE_MS = 2  # a daemon that has nothing to arrange answers sooner
FORK_PAUSE_MS = 50  # after a fork that came to nothing
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
WARM_UP = 20  # calls; CPython 3.11 specializes a function at its eighth, later ones sooner
GIVE_UP_S = 10.0  # of kill passes: what then still lives sits in the kernel (state D)
RETRY_S = 5.0  # between attempts to write an exit record on a full disk
DISK_RETRY_S = 0.25  # between attempts to write output on a full disk
TIMEOUT_GRACE_MS = (2000, 5000)  # the rungs after the agent's time has run out
SHUTDOWN_GRACE_MS = (1000, 2000)  # init systems allow about five seconds in all
MAX_CONNECTIONS = 64
MAX_VIEWERS = 48  # of them; the rest is for daemons and for who only asks
MAX_UNSENT = 1024 * 1024  # bytes for one connection that does not read; then it is dropped
MAX_INPUT_QUEUE = 1024 * 1024
MAX_CANON = (
    4095  # bytes of a line that the kernel's line editor holds (N_TTY_BUF_SIZE - 1); it drops the rest
)
IUTF8 = 0o40000  # asm-generic/termbits.h and macOS alike; `termios` does not name it
SIZES = _struct.Struct("!QQHH")  # offset, milliseconds, rows, columns
SIZES_KEPT = 32768  # records; half of them stay when the file is cut
TYPING_S = 2.0  # how long a person keeps the keyboard after a line is finished
DRAFT_S = 30.0  # and after a key that left a line unfinished
MAX_NAME = 128  # characters of a viewer's name; all of them stand in HELLO
ANSWER_S = 1.0  # for the answer to a terminal query by one who emulates
NOBODY_S = 0.2  # and where nobody does: the daemon may be about to connect
MAX_ANSWERS = 65536  # bytes waiting for a program that asks and does not read; then none are added
INIT_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in the kernel
SIGINT, SIGKILL, SIGTERM, SIGCONT = 2, 9, 15, _signal.SIGCONT
LINUX = sys.platform == "linux"


# ---- JSON, files ------------------------------------------------------------------------------------


class Context:
    """What `_json.make_scanner` asks its decoder for."""

    strict = False
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> None:
        raise ValueError(name)


def loads(data: bytes) -> "Any":
    text = data.decode().strip()
    try:
        return _json.make_scanner(Context())(text, 0)[0]  # type: ignore[arg-type]
    except (TypeError, AttributeError):  # a Python whose private scanner wants something else
        import json  # noqa: PLC0415

        return json.loads(text)
    except (StopIteration, SystemError):  # the latter where `json`, for its error class, is not imported
        raise ValueError("not JSON") from None


def dumps(value: "Any") -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _json.encode_basestring_ascii(value)
    if isinstance(value, dict):
        return "{%s}" % ",".join(["%s:%s" % (dumps(k), dumps(v)) for k, v in value.items()])
    return "[%s]" % ",".join([dumps(item) for item in value])


def read_file(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = posix.read(fd, SMALL_FILE)  # a larger buffer would be mapped and unmapped at each call
        part = data
        while part:
            part = posix.read(fd, SMALL_FILE if len(part) < SMALL_FILE else 1 << 20)
            data += part
        return data
    finally:
        posix.close(fd)


def unlink(path: str) -> None:
    try:
        posix.unlink(path)
    except OSError:
        pass


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[posix.write(fd, view) :]


def drain(fd: int) -> None:
    try:
        posix.read(fd, 4096)
    except BlockingIOError:
        pass


def now_ms() -> int:
    return int(time.time() * 1000)


ARMED = posix.environ.get(b"MUSTER_FAILPOINT", b"").decode().split(",")


def failpoint(name: str) -> None:
    if name in ARMED:
        posix.kill(posix.getpid(), SIGKILL)


# ---- processes --------------------------------------------------------------------------------------


class Member:
    """One line of the process table; `started` tells it from a later process of the same number."""

    __slots__ = ("group", "name", "parent", "pid", "started", "state")

    def __init__(self, pid: int) -> None:
        data = read_file("/proc/%d/stat" % pid).decode("utf-8", "replace")
        close = data.rindex(")")  # a program's name may hold spaces and parentheses
        fields = data[close + 2 :].split()
        self.pid = pid
        self.name = data[data.index("(") + 1 : close]
        self.state = fields[0]
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.started = int(fields[19])

    @property
    def label(self) -> str:
        return "%d %s" % (self.pid, self.name)


def started_of(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 where there is no /proc."""
    try:
        return Member(pid).started
    except (OSError, ValueError, IndexError):
        return 0


BOOT_ID: "list[str]" = []  # read once; a fork server has it before it forks


def boot_id() -> str:
    if not BOOT_ID:
        try:
            BOOT_ID.append(read_file("/proc/sys/kernel/random/boot_id").decode().strip())
        except OSError:
            BOOT_ID.append("")
    return BOOT_ID[0]


def find_prctl() -> "Callable[..., int]":
    """`_ctypes` costs 0.3 ms where `ctypes` costs 2.5; it is private, so the public one is the fallback."""
    try:
        import _ctypes  # noqa: PLC0415

        class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "i"

        class Function(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL
            _restype_ = Int

        function: "Callable[..., int]" = Function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"))  # type: ignore[arg-type]
    except Exception:
        import ctypes  # noqa: PLC0415

        function = ctypes.CDLL(None).prctl
    return function


PRCTL: "list[Callable[..., int]]" = []  # found once; a fork server has it before it forks


def become_subreaper() -> bool:
    """Make everything orphaned in the tree a child of this process (PR_SET_CHILD_SUBREAPER, Linux 3.4)."""
    if not LINUX:
        return False
    try:
        if not PRCTL:
            PRCTL.append(find_prctl())
        return bool(PRCTL[0](36, 1, 0, 0, 0) == 0)
    except Exception:
        return False


def children_of(pid: int) -> "list[int]":
    """Direct children, from the kernel's own lists; may miss one while a sibling exits."""
    found = []
    for task in posix.listdir("/proc/%d/task" % pid):
        found += [int(word) for word in read_file("/proc/%d/task/%s/children" % (pid, task)).split()]
    return found


def everyone() -> "list[Member]":
    members = []
    for name in posix.listdir("/proc"):
        if name.isdigit():
            try:
                members.append(Member(int(name)))
            except (OSError, ValueError, IndexError):
                pass
    return members


def descendants(ancestor: int) -> "list[Member]":
    """Everything alive below `ancestor` (not zombies), nearest first. Empty where there is no /proc."""
    try:
        pids = children_of(ancestor)
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return descendants_by_scan(ancestor)
    found = []
    while pids:
        below = []
        for pid in pids:
            try:
                member = Member(pid)
                below += children_of(pid)
            except (OSError, ValueError, IndexError):
                continue
            if member.state not in "ZX":
                found.append(member)
        pids = below
    return found


def descendants_by_scan(ancestor: int) -> "list[Member]":
    try:
        members = everyone()
    except OSError:
        return []
    below: "dict[int, list[Member]]" = {}
    for member in members:
        below.setdefault(member.parent, []).append(member)
    found = []
    level = below.get(ancestor, [])
    while level:
        found += level
        level = [child for member in level for child in below.get(member.pid, [])]
    return [member for member in found if member.state not in "ZX"]


def signal_member(member: Member, number: int) -> None:
    """Signal exactly this process; one that has gone, or is not ours to signal, is left alone."""
    try:
        if sys.platform == "linux":
            fd = posix.pidfd_open(member.pid)
            try:
                if started_of(member.pid) == member.started:
                    _signal.pidfd_send_signal(fd, number)
            finally:
                posix.close(fd)
        else:
            posix.kill(member.pid, number)
    except OSError as error:
        if error.errno == errno.ENOSYS and started_of(member.pid) == member.started:  # Linux before 5.3
            signal_quietly(posix.kill, member.pid, number)


def signal_quietly(send: "Callable[[int, int], None]", pid: int, number: int) -> None:
    try:
        send(pid, number)
    except OSError:
        pass


# ---- out of memory ----------------------------------------------------------------------------------


class MemoryEvidence:
    """Tells a kill for memory from any other SIGKILL, by what the kernel says and never by guessing."""

    def __init__(self) -> None:
        self.folder, self.counter_file = self.find_cgroup()
        self.before = self.counter()
        self.alone = self.is_alone()

    @staticmethod
    def find_cgroup() -> "tuple[str, str]":
        try:
            lines = read_file("/proc/self/cgroup").decode().splitlines()
        except OSError:
            return "", ""
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                return "/sys/fs/cgroup/memory" + path, "memory.oom_control"
        for line in lines:
            if line.startswith("0::"):
                return "/sys/fs/cgroup" + line[3:], "memory.events"
        return "", ""

    def counter(self) -> int:
        try:
            lines = read_file(self.folder + "/" + self.counter_file).splitlines()
        except OSError:
            return -1
        for line in lines:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return -1

    def is_alone(self) -> bool:
        """Whether this keeper, which has no children yet, is all there is in the cgroup."""
        try:
            fd = posix.open(self.folder + "/cgroup.procs", posix.O_RDONLY | posix.O_CLOEXEC)
            try:
                return posix.read(fd, 32).split() == [b"%d" % posix.getpid()]
            finally:
                posix.close(fd)
        except OSError:
            return False

    def others(self) -> "set[int]":
        """Processes of the cgroup that are neither this keeper nor below it."""
        try:
            pids = {int(word) for word in read_file(self.folder + "/cgroup.procs").split()}
        except (OSError, ValueError):
            return {-1}
        me = posix.getpid()
        return pids - {me} - {member.pid for member in descendants(me)} if pids != {me} else set()

    def verdict(self, pid: int, started: int) -> "tuple[str, str]":
        """(evidence that the kernel killed `pid` for memory, or empty; a plain fact beside it)."""
        line = kernel_log(pid, started)
        if line:
            return line, ""
        risen = self.counter() - self.before if self.before >= 0 else 0
        if risen <= 0:
            return "", ""
        fact = "oom_kill of %s rose by %d" % (self.folder, risen)
        if self.alone and self.others() == set():
            return fact + ", which holds only this agent", ""
        return "", fact + " while this agent ran; other processes share that cgroup"


def kernel_log(pid: int, started: int) -> str:
    """The kernel's own line about killing `pid` for memory since `started` (ticks), or empty."""
    try:
        if posix.readlink("/proc/self/ns/pid") != INIT_PID_NAMESPACE:
            return ""  # the log counts in the host's pids, which are others than ours
        ticks = posix.sysconf("SC_CLK_TCK")
        fd = posix.open("/dev/kmsg", posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
    except OSError:
        return ""
    oldest_us = (started // ticks - 1) * 1000000
    wanted = "Killed process %d (" % pid
    try:
        while True:
            try:
                record = posix.read(fd, 8192).decode("utf-8", "replace")
            except BrokenPipeError:  # the ring buffer overtook us: read on
                continue
            head, _, text = record.partition(";")
            if wanted in text and int(head.split(",")[2]) >= oldest_us:
                return "kernel: " + text.split("\n")[0]
    except (OSError, ValueError, IndexError):
        return ""  # EAGAIN: everything has been read
    finally:
        posix.close(fd)


# ---- the spool --------------------------------------------------------------------------------------


class Spool:
    """The output on disk: segments named by absolute offset, an index beside each, oldest deleted first.

    A full disk never raises: bytes are counted as `dropped`, `end` still advances, and a new segment
    begins when writing works again.
    """

    def __init__(self, directory: str, limit: int, bound: int) -> None:
        self.directory = directory
        self.limit = limit
        self.segment_limit = max(limit // SEGMENTS, 1024)
        self.bound = max(bound, limit)
        self.end = 0
        self.dropped = 0
        self.segments: "list[list[int]]" = []  # [start, bytes on disk]
        self.data_fd = self.index_fd = -1
        self.last_kind = self.last_ms = 0
        self.retry_at = 0.0
        self.held: "Callable[[], int]" = lambda: RELEASE
        self.before_delete: "Callable[[int, int], None]" = lambda start, following: None

    def append(self, kind: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self.data_fd < 0 and time.monotonic() < self.retry_at:
                self.drop(len(view))
                return
            try:
                if self.data_fd < 0:
                    self.open_segment()
                written = self.store(kind, view)
            except OSError:
                self.close_segment()
                self.retry_at = time.monotonic() + DISK_RETRY_S
                self.drop(len(view))
                return
            self.end += written
            view = view[written:]
            if self.segments[-1][1] >= self.segment_limit:
                self.close_segment()

    def drop(self, size: int) -> None:
        self.dropped += size
        self.end += size

    def open_segment(self) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        self.segments.append([self.end, 0])
        self.index_fd = posix.open("%s/index.%d" % (self.directory, self.end), flags, 0o600)
        self.data_fd = posix.open("%s/spool.%d" % (self.directory, self.end), flags, 0o600)
        self.last_kind = -1
        self.trim()

    def store(self, kind: int, view: memoryview) -> int:
        """Write some of `view`, its index record first, so that a reader of the data finds its record."""
        at = now_ms()
        segment = self.segments[-1]
        if kind != self.last_kind or not 0 <= at - self.last_ms < INDEX_MS:
            if posix.write(self.index_fd, INDEX.pack(self.end, at << 16 | kind << 8)) != INDEX.size:
                raise OSError(errno.ENOSPC, "half an index record")
            self.last_kind, self.last_ms = kind, at
            segment[1] += INDEX.size
        written = posix.write(self.data_fd, view[: max(self.segment_limit - segment[1], 1)])
        segment[1] += written
        return written

    def close_segment(self) -> None:
        for fd in (self.data_fd, self.index_fd):
            if fd >= 0:
                posix.close(fd)
        self.data_fd = self.index_fd = -1
        if self.segments and self.segments[-1][0] == self.end:  # nothing went into it
            self.delete(self.segments.pop()[0])

    def delete(self, start: int) -> None:
        unlink("%s/spool.%d" % (self.directory, start))
        unlink("%s/index.%d" % (self.directory, start))

    def trim(self) -> None:
        """Delete the oldest segments that the limit has no room for and no follower still needs."""
        keep = self.limit * (SEGMENTS - 1) // SEGMENTS
        total = sum(segment[1] for segment in self.segments)
        while len(self.segments) > 1 and total - self.segments[0][1] >= keep:
            if self.segments[1][0] > self.held() and total <= self.bound:
                return
            start, size = self.segments.pop(0)
            total -= size
            self.before_delete(start, self.segments[0][0])
            self.delete(start)


# ---- connections ------------------------------------------------------------------------------------


class Connection:
    """One daemon, or one viewer. What it does not read in time costs only itself."""

    __slots__ = ("hold", "hold_until", "pushed", "received", "responds", "socket", "unsent", "viewer", "wait")

    def __init__(self, connected: "_socket.socket") -> None:
        connected.setblocking(False)
        self.socket = connected
        self.received = bytearray()
        self.unsent = bytearray()
        self.hold = RELEASE
        self.hold_until: "float | None" = None
        self.wait: "int | None" = None
        self.pushed = False  # whether WAIT may be answered with the bytes themselves
        self.viewer: "Viewer | None" = None
        self.responds = 0  # place in the row of those who answer queries; 0: does not

    def flush(self) -> bool:
        """Send what can be sent; False once the connection is of no use."""
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            return len(self.unsent) <= MAX_UNSENT
        except OSError:
            return False
        return True

    def frames(self, data: bytes) -> "list[tuple[int, bytes]]":
        """The frames completed by `data`. Raises ValueError for one no daemon would send."""
        self.received += data
        found = []
        while len(self.received) >= HEADER.size:
            length, kind = HEADER.unpack_from(self.received)
            if length > MAX_PAYLOAD:
                raise ValueError("frame too long")
            end = HEADER.size + length
            if len(self.received) < end:
                break
            found.append((kind, bytes(self.received[HEADER.size : end])))
            del self.received[:end]
        return found


class Refusal(Exception):
    """A request that is answered with REFUSED: (code, message)."""


class NotStarted(Exception):
    """The program could not be executed: (errno, message, directories searched)."""


class Abandoned(Exception):
    """Nobody waits any more for what has not begun."""


class Input:
    """One INPUT or TYPE frame on its way into the program; without a connection nobody waits for it."""

    __slots__ = ("connection", "data", "request", "written")

    def __init__(self, connection: "Connection | None", request: int, data: bytes) -> None:
        self.connection = connection
        self.request = request
        self.data = data
        self.written = 0


# ---- the terminal -----------------------------------------------------------------------------------


class Viewer:
    """One who looks at the terminal; `active` orders them by who did something last."""

    __slots__ = ("active", "columns", "name", "read_only", "rows")

    def __init__(self, asked: "dict[str, Any]") -> None:
        self.name = str(asked["name"])[:MAX_NAME]
        self.rows, self.columns = checked_size(asked)
        self.read_only = bool(asked["readOnly"])
        self.active = time.monotonic()

    def shown(self) -> "dict[str, Any]":
        return {"name": self.name, "rows": self.rows, "columns": self.columns, "readOnly": self.read_only}


def checked_size(asked: "dict[str, Any]") -> "tuple[int, int]":
    rows, columns = asked["rows"], asked["columns"]
    if not (0 < rows <= 1000 and 0 < columns <= 1000):
        raise Refusal("failed", "a terminal has 1 to 1000 rows and columns")
    return rows, columns


class Terminal:
    """The master side of the program's terminal, and what is to be known about it.

    The other side is held open too while the program runs: it tells what input is still unread, and a
    program that closes its own files for a while does not end the output.
    """

    def __init__(self, directory: str, size: "dict[str, int]") -> None:
        self.directory = directory
        self.master, self.slave = posix.openpty()
        self.path = posix.ttyname(self.slave)
        posix.set_blocking(self.master, False)
        attributes = termios.tcgetattr(self.slave)
        attributes[0] |= IUTF8  # the line editor deletes characters, not bytes
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        self.sizes_fd = posix.open(directory + "/sizes", flags, 0o600)
        self.recorded = 0
        self.rows = self.columns = 0
        self.typed_by, self.free_at = "", 0.0
        self.line_begun = False  # whether the line editor holds the beginning of a line
        self.queries = Queries()
        self.modes = ModeScan()
        self.resize(size["rows"], size["columns"], 0)

    def resize(self, rows: int, columns: int, offset: int) -> bool:
        """Whether that changed anything. The kernel tells the program's foreground group."""
        if (rows, columns) == (self.rows, self.columns):
            return False
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, _struct.pack("HHHH", rows, columns, 0, 0))
        self.rows, self.columns = rows, columns
        try:
            if self.recorded >= SIZES_KEPT:
                self.cut_sizes()
            write_all(self.sizes_fd, SIZES.pack(offset, now_ms(), rows, columns))
            self.recorded += 1
        except OSError:  # a full disk: the screen of a later viewer may be wrapped wrongly for a while
            try:
                posix.ftruncate(self.sizes_fd, self.recorded * SIZES.size)  # part of it would shift the next
            except OSError:
                pass
        return True

    def cut_sizes(self) -> None:
        path = self.directory + "/sizes"
        kept = read_file(path)[-SIZES_KEPT // 2 * SIZES.size :]
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_APPEND | posix.O_CLOEXEC
        fd = posix.open(path + ".tmp", flags, 0o600)
        try:
            write_all(fd, kept)
            posix.rename(path + ".tmp", path)
        except OSError:
            posix.close(fd)
            raise
        posix.close(self.sizes_fd)
        self.sizes_fd, self.recorded = fd, len(kept) // SIZES.size

    def settings(self) -> "tuple[bool, bool, bool]":
        """Whether the line editor is on, whether it echoes, whether ^C is a signal."""
        try:
            local = termios.tcgetattr(self.master)[3]
        except OSError:
            return False, False, False
        return bool(local & termios.ICANON), bool(local & termios.ECHO), bool(local & termios.ISIG)

    def special(self, index: int) -> bytes:
        """The control character of this index, as of now."""
        try:
            return bytes(termios.tcgetattr(self.master)[6][index])
        except (OSError, TypeError):
            return b""

    def unread(self) -> int:
        """Bytes of input that the program has not read yet."""
        if self.slave < 0:
            return 0
        try:
            select.select([self.slave], [], [], 0)  # has the kernel hand over what was just written
            return int.from_bytes(fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def put_in(self, data: bytes) -> None:
        """These bytes go into the terminal next."""
        ends = (b"\n", b"\r", self.special(termios.VEOF), self.special(termios.VKILL))
        self.line_begun = self.settings()[0] and not data.endswith(ends)

    def end_of_file(self) -> bytes:
        """What has the program read end of file; behind part of a line the first only hands that over."""
        return self.special(termios.VEOF) * (2 if self.line_begun and self.settings()[0] else 1)

    def drop_unread(self) -> None:
        """As the kernel does at ^C, which would not reach it while the program does not read."""
        if self.slave >= 0 and not termios.tcgetattr(self.master)[3] & termios.NOFLSH:
            termios.tcflush(self.slave, termios.TCIFLUSH)

    def is_signal(self, data: bytes) -> bool:
        """Whether these keys are, with the settings of now, one that signals the foreground group."""
        keys = (termios.VINTR, termios.VQUIT, termios.VSUSP)
        disabled = b"\0"  # _POSIX_VDISABLE
        return self.settings()[2] and data != disabled and data in [self.special(key) for key in keys]

    def typed(self, name: str, data: bytes) -> None:
        """A person has typed: nothing automatic may come between their keys."""
        finished = data.endswith((b"\r", b"\n", b"\x03", b"\x04", b"\x1b", b"\x15"))
        self.typed_by = name or "somebody"
        self.free_at = time.monotonic() + (TYPING_S if finished else DRAFT_S)

    def free_in_ms(self) -> int:
        return max(0, int((self.free_at - time.monotonic()) * 1000))

    def interrupt_group(self) -> int:
        """The group in the foreground, 0 if there is none."""
        try:
            return posix.tcgetpgrp(self.master)
        except OSError:
            return 0

    def close_slave(self) -> None:
        if self.slave >= 0:
            posix.close(self.slave)
            self.slave = -1

    def before_delete(self, start: int, following: int) -> None:
        """Note which modes a segment of the spool has left the terminal in, before it is deleted.

        `prelude.<offset>` is what an emulator is to be fed before the first byte that is left.
        """
        try:
            self.modes.scan(read_file("%s/spool.%d" % (self.directory, start)))
            flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
            fd = posix.open("%s/prelude.%d" % (self.directory, following), flags, 0o600)
            try:
                write_all(fd, self.modes.prelude())
            finally:
                posix.close(fd)
        except OSError:
            pass
        unlink("%s/prelude.%d" % (self.directory, start))


def only_reports(data: bytes) -> bool:
    """Whether a person's terminal sent this by itself: focus in or out, mouse in any encoding."""
    while data.startswith(b"\x1b["):
        end = 2
        while data[end : end + 1].isdigit() or data[end : end + 1] in (b";", b"<"):
            end += 1
        last = data[end : end + 1]
        if end == 2 and last in (b"I", b"O"):
            data = data[3:]
        elif end == 2 and last == b"M":
            data = data[6:]
        elif end > 2 and last in (b"M", b"m"):
            data = data[end + 1 :]
        else:
            return False
    return not data


CUT_BYTES = 4096  # the longest unfinished sequence that is looked at again with what follows it


def whole_bytes(data: bytes) -> int:
    """How many bytes of `data` stand before a sequence that begins at its end and is not finished."""
    at = data.rfind(b"\x1b", -CUT_BYTES)
    if at < 0:
        return len(data)
    rest = data[at:]
    kind = rest[1:2]
    if not kind:  # perhaps the end of a string
        opened = data.rfind(b"\x1b", max(0, at - CUT_BYTES), at)
        return at if opened < 0 or whole_bytes(data[:at]) > opened else opened
    if kind in (b"P", b"]", b"_", b"^", b"X"):
        return len(data) if any(end in rest for end in (b"\x07", b"\x18", b"\x1a")) else at
    between = b"" if kind == b"[" else kind
    low, high, begin = (0x20, 0x3F, 2) if kind == b"[" else (0x20, 0x2F, 1)
    if between and not low <= between[0] <= high:
        return len(data)
    return at if all(low <= byte <= high for byte in rest[begin:]) else len(data)


def part_of_character(data: bytes) -> bytes:
    """The bytes at the end of `data` that begin a UTF-8 character and do not finish it."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            return data[-back:] if (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) > back else b""
        if byte < 0x80:
            break
    return b""


class ModeScan:
    """Which modes a run of output leaves a terminal in: no emulation, a few sequences are searched."""

    def __init__(self) -> None:
        self.reset()
        self.cut = b""  # what the run ends with and the next one finishes

    def reset(self) -> None:
        self.private: "dict[bytes, bytes]" = {}
        self.keypad = b""
        self.title = b""
        self.keyboard: "list[bytes]" = []  # the stack of flags of the kitty protocol

    def scan(self, data: bytes) -> None:
        data = self.cut + data
        end = whole_bytes(data)
        self.cut = data[end:] or part_of_character(data)
        data = data[:end]
        reset = data.rfind(b"\x1bc")
        if reset >= 0:
            self.reset()
            data = data[reset + 2 :]
        self.scan_modes(data)
        self.scan_keyboard(data)
        application, numeric = data.rfind(b"\x1b="), data.rfind(b"\x1b>")
        if application != numeric:
            self.keypad = b"\x1b=" if application > numeric else b"\x1b>"
        at = max(data.rfind(b"\x1b]0;"), data.rfind(b"\x1b]2;"))
        if at >= 0:
            title = data[at + 4 : at + 1024]
            self.title = title.split(b"\x07")[0].split(b"\x1b")[0]

    def scan_keyboard(self, data: bytes) -> None:
        found = []
        for start in (b"\x1b[>", b"\x1b[<", b"\x1b[="):
            at = data.find(start)
            while at >= 0:
                found.append(at)
                at = data.find(start, at + 3)
        for at in sorted(found):
            end = at + 3
            while data[end : end + 1].isdigit() or data[end : end + 1] == b";":
                end += 1
            if data[end : end + 1] == b"u":
                self.change_keyboard(data[at + 2 : at + 3], data[at + 3 : end].split(b";"))

    def change_keyboard(self, how: bytes, numbers: "list[bytes]") -> None:
        if how == b">":
            self.keyboard = [*self.keyboard, numbers[0] or b"0"][-8:]  # as deep as terminals let it be
        elif how == b"<":
            self.keyboard = self.keyboard[: max(0, len(self.keyboard) - int(numbers[0] or b"1"))]
        elif len(numbers) == 1 or numbers[1] == b"1":
            self.keyboard = [*self.keyboard[:-1], numbers[0] or b"0"]

    def scan_modes(self, data: bytes) -> None:
        at = data.find(b"\x1b[?")
        while at >= 0:
            end = at + 3
            while data[end : end + 1].isdigit() or data[end : end + 1] == b";":
                end += 1
            last = data[end : end + 1]
            if last in (b"h", b"l"):
                for mode in data[at + 3 : end].split(b";"):
                    self.private.pop(mode, None)  # to the end: the order of the last changes counts
                    self.private[mode] = last
            at = data.find(b"\x1b[?", end)

    def prelude(self) -> bytes:
        """The modes, and behind them what the following output finishes."""
        modes = [b"\x1b[?" + mode + last for mode, last in self.private.items() if mode != b"2026"]
        title = b"\x1b]2;" + self.title + b"\x07" if self.title else b""
        keyboard = b"".join([b"\x1b[>%su" % flags for flags in self.keyboard])
        return b"".join(modes) + self.keypad + keyboard + title + self.cut


class Queries:
    """What the program asks its terminal. Found here by a plain search; answered by whoever emulates it,
    and with what can be said without that (`PLAIN`) if nobody does in time, so that no program hangs."""

    PLAIN = (
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[0c", b"\x1b[?62;22c"),
        (b"\x1b[>c", b"\x1b[>1;10;0c"),
        (b"\x1b[>0c", b"\x1b[>1;10;0c"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[6n", b"\x1b[1;1R"),
        (b"\x1b[?6n", b"\x1b[?1;1R"),
    )
    SEARCHED = (
        *(query for query, _ in PLAIN),
        *(b"\x1b[=c", b"\x1b[=0c", b"\x1b[?u", b"\x1b[>q", b"\x1b[>0q", b"\x1b[?5n", b"\x1b[?996n"),
        *(b"$p", b"$q", b"+q", b"?\x07", b"?\x1b\\", b"\x1b[14t", b"\x1b[16t", b"\x1b[18t", b"\x1b[21t"),
        b"\x1b_G",
    )
    KEPT = 4096
    MOST = 64  # reads that asked something and are unanswered; from there on they count as one

    def __init__(self) -> None:
        self.cut = b""  # an unfinished sequence at the end of what was read last
        self.asked: "list[tuple[int, int, bytes]]" = []  # from, to, the bytes
        self.due: "float | None" = None
        self.tried = 0  # how many responders have let it pass

    def look(self, offset: int, data: bytes) -> bool:
        """Whether `data`, written at `offset`, asks something (more); it is then in `asked`."""
        if b"\x1b" not in data and not self.cut:
            return False
        start, window = offset - len(self.cut), self.cut + data
        whole = whole_bytes(window)
        self.cut, window = window[whole:], window[:whole]
        found = any(query in window for query in self.SEARCHED)
        if found and len(self.asked) >= self.MOST:
            first, _, before = self.asked.pop()
            self.asked.append((first, start + whole, (before + window)[-self.KEPT :]))
        elif found:
            self.asked.append((start, start + whole, window[-self.KEPT :]))
        return found

    def answered(self, upto: int) -> bool:
        """Forget what is answered by one who has seen the output up to `upto`; whether that was news."""
        left = [item for item in self.asked if item[1] > upto]
        news = len(left) < len(self.asked)
        self.asked = left
        if news:
            self.tried = 0
            self.due = time.monotonic() + ANSWER_S if left else None
        return news

    def plain_answers(self) -> bytes:
        """To everything that is still open, in order; what has no plain answer gets none."""
        answers = []
        for _, _, data in self.asked:
            found = []
            for query, answer in self.PLAIN:
                at = data.find(query)
                while at >= 0:
                    found.append((at, answer))
                    at = data.find(query, at + 1)
            answers += [answer for _, answer in sorted(found)]
        self.asked, self.due, self.tried = [], None, 0
        return b"".join(answers)


# ---- exec -------------------------------------------------------------------------------------------


def execute(spec: "dict[str, Any]", stdio: "list[int] | str") -> int:
    """Start the program in a session of its own and return its pid; exec has then succeeded.

    `stdio` are the three files it gets, or the path of the terminal that becomes its controlling one.
    Raises NotStarted. Every signal starts at its default and unblocked, no other file is open in it.
    """
    try:
        posix.chdir(spec["cwd"])
    except OSError as error:
        message = "cannot use the directory %s: %s" % (spec["cwd"], error.strerror)
        raise NotStarted(error.errno, message, []) from None
    try:
        return search_and_spawn(spec["argv"], spec["env"], stdio)
    finally:
        posix.chdir("/")


def search_and_spawn(argv: "list[str]", env: "dict[str, str]", stdio: "list[int] | str") -> int:
    name = argv[0]
    if "/" in name:
        return spawn_at(name, argv, env, stdio, [])
    searched: "list[str]" = []
    denied = None
    for folder in env.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":"):
        searched.append(folder or ".")
        path = (folder or ".") + "/" + name
        try:
            posix.stat(path)
            return spawn_at(path, argv, env, stdio, searched)
        except NotStarted as error:
            if error.args[0] not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise
            denied = denied or error
        except OSError:
            continue
    if denied:
        raise NotStarted(denied.args[0], denied.args[1], searched)
    raise NotStarted(errno.ENOENT, "%s was not found in any directory of PATH" % name, searched)


def spawn_at(
    path: str, argv: "list[str]", env: "dict[str, str]", stdio: "list[int] | str", searched: "list[str]"
) -> int:
    actions: "list[tuple[Any, ...]]"
    if isinstance(stdio, str):
        # The leader of a new session that opens a terminal gets it as its controlling one (Linux).
        actions = [(posix.POSIX_SPAWN_OPEN, 0, stdio, posix.O_RDWR, 0)]
        actions += [(posix.POSIX_SPAWN_DUP2, 0, target) for target in (1, 2)]
    else:
        actions = [(posix.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)]
    default = _signal.valid_signals() - {SIGKILL, _signal.SIGSTOP}
    try:
        if isinstance(stdio, str) and not LINUX:
            return fork_in_terminal(path, argv, env, stdio)
        return posix.posix_spawn(
            path, argv, env, file_actions=actions, setsid=True, setsigdef=default, setsigmask=[]
        )
    except ValueError as error:  # an empty argument list, a NUL or "=" where none may be
        raise NotStarted(errno.EINVAL, "cannot execute %s: %s" % (path, error), searched) from None
    except OSError as error:
        message = "cannot execute %s: %s" % (path, explain(path, error))
        raise NotStarted(error.errno, message, searched) from None


def fork_in_terminal(path: str, argv: "list[str]", env: "dict[str, str]", terminal: str) -> int:
    """As `posix_spawn`, where a terminal has to be asked to become the controlling one (macOS, BSD)."""
    read_fd, write_fd = posix.pipe()  # closed by exec: what can be read is the errno of a failure
    pid = posix.fork()
    if pid == 0:
        try:
            posix.setsid()
            fd = posix.open(terminal, posix.O_RDWR)
            fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
            for target in range(3):
                posix.dup2(fd, target)
            for number in _signal.valid_signals() - {SIGKILL, _signal.SIGSTOP}:
                _signal.signal(number, _signal.SIG_DFL)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
            posix.execve(path, argv, env)
        except (OSError, ValueError) as error:  # the latter for a NUL or "=" where none may be
            posix.write(write_fd, _struct.pack("!I", getattr(error, "errno", errno.EINVAL)))
        finally:
            posix._exit(127)
    posix.close(write_fd)
    try:
        failure = posix.read(read_fd, 4)
    finally:
        posix.close(read_fd)
    if failure:
        posix.waitpid(pid, 0)
        number = _struct.unpack("!I", failure)[0]
        raise OSError(number, posix.strerror(number))
    return pid


def explain(path: str, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno == errno.ENOEXEC:
        return text + " (a script needs a first line such as #!/bin/sh)"
    if error.errno == errno.E2BIG:
        return text + " (hand long texts over on stdin or in a file)"
    if error.errno == errno.ENOENT:
        try:
            posix.stat(path)
            return "the interpreter named in its first line (#!), or its loader, does not exist"
        except OSError:
            pass
    return text


def confine(count: int) -> "set[int]":
    """Run on so many CPUs only, with all that is started from here on; returns those it was before.

    Neighbouring keepers begin at different ones.
    """
    if sys.platform != "linux":
        return set()
    before = posix.sched_getaffinity(0)
    usable = sorted(before)
    first = posix.getpid() % len(usable)
    posix.sched_setaffinity(0, (usable + usable)[first : first + min(count, len(usable))])
    return before


def release(cpus: "set[int]") -> None:
    if cpus and sys.platform == "linux":
        try:
            posix.sched_setaffinity(0, cpus)
        except OSError:
            pass  # those have been taken away meanwhile; what is left does as well


# ---- the keeper -------------------------------------------------------------------------------------


class Keeper:
    """The one object of this process: a poll loop over the program, its pipes, timers and connections."""

    def __init__(self, directory: str, control_fd: int) -> None:
        self.directory = directory
        self.spec: "dict[str, Any]" = loads(read_file(directory + "/spec.json"))
        self.me = posix.getpid()
        self.identity: "dict[str, Any]" = {
            "keeperPid": self.me,
            "keeperStarted": started_of(self.me),
            "pid": None,
            "started": 0,
            "bootId": boot_id(),
            "startedMs": 0,
        }
        self.pid = 0
        self.poll = select.poll()
        self.handlers: "dict[int, Callable[[int], None]]" = {}
        self.connections: "dict[int, Connection]" = {}
        self.pipes: "dict[int, int]" = {}  # fd → stream
        self.stdin_fd = self.stdin_file = -1
        self.inputs: "list[Input]" = []
        self.closing_stdin = False
        self.head = b""
        self.spool = Spool(directory, self.spec["spoolBytes"], self.spec["heldBytes"])
        self.spool.held = self.smallest_hold
        self.terminal: "Terminal | None" = None
        self.fresh: "tuple[int, bytes] | None" = None  # what was read just now, for those who are up to date
        self.alive = False
        self.childless = False
        self.status = 0
        self.usage: "Any" = None
        self.exit: "dict[str, Any] | None" = None
        self.durable = False
        self.leaving = False
        self.terminated = self.unheard = False  # set by signal handlers, acted on by `tick`
        self.ended_ms = 0
        self.ended_by: "str | None" = None
        self.timeout_at: "float | None" = None
        self.drain_at: "float | None" = None
        self.retry_at: "float | None" = None
        # the stop ladder: "" → interrupt → terminate → kill; `rung_at` is when the next one is due
        self.rung = ""
        self.rung_at: "float | None" = None
        self.terminate_ms = 0
        self.kill_began = 0.0
        self.stopping = False
        self.killed: "dict[int, str]" = {}
        self.leftovers: "dict[int, str]" = {}
        self.survivors: "list[str]" = []
        self.gave_up = False
        self.birth = self.adopt(_socket.socket(fileno=control_fd))
        self.birth.hold, self.birth.hold_until = 0, time.monotonic() + BIRTH_HOLD_S

    # -- birth

    def start(self, gate: bool) -> bool:
        """Everything up to a running program; False, with nothing left behind, if it cannot be executed.

        Raises Abandoned if it has not been let through the gate.
        """
        cpus: "set[int]" = set()
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

    # -- the loop

    def watch(self, fd: int, events: int, handler: "Callable[[int], None]") -> None:
        self.handlers[fd] = handler
        self.poll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        del self.handlers[fd]
        self.poll.unregister(fd)

    def run(self) -> None:
        while not self.leaving:
            for fd, events in self.poll.poll(self.poll_ms()):
                handler = self.handlers.get(fd)  # None: closed by a handler before this one
                if fd == self.stdin_fd and events & select.POLLERR:
                    self.close_stdin()  # nobody can read it any more; poll would say so for ever
                elif handler:
                    handler(fd)
            self.tick(time.monotonic())
        self.say_goodbye()

    def poll_ms(self) -> "int | None":
        times = (self.timeout_at, self.rung_at, self.drain_at, self.retry_at, self.answer_due())
        due = [at for at in times if at is not None]
        return max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None

    def tick(self, now: float) -> None:
        if self.terminated:
            self.terminated = False
            self.begin_stop("shutdown", *SHUTDOWN_GRACE_MS)
        if self.unheard:
            self.unheard = False
            self.listen_again()
        if self.timeout_at is not None and now >= self.timeout_at:
            self.timeout_at = None
            self.begin_stop("timeout", *TIMEOUT_GRACE_MS)
        if self.rung_at is not None and now >= self.rung_at:
            self.climb(now)
        if self.retry_at is not None and now >= self.retry_at:
            self.retry_at = None
            self.write_record()
        due = self.answer_due()
        if due is not None and now >= due:
            self.answer_late()
        self.settle(now)

    def on_sigterm(self, *_: object) -> None:
        self.terminated = True

    def on_sigusr1(self, *_: object) -> None:
        self.unheard = True

    def on_wake(self, fd: int) -> None:
        drain(fd)
        self.reap()

    def reap(self) -> None:
        """Collect every child that has ended: the program, and whatever was orphaned below it."""
        while True:
            try:
                pid, status, usage = posix.wait3(posix.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                return
            if pid == self.pid and self.alive:
                self.alive = False
                self.ended_ms, self.status, self.usage = now_ms(), status, usage
                self.timeout_at = None
                self.close_stdin()
                if self.terminal:
                    self.terminal.close_slave()
                self.rung_at = None  # `settle` goes on with what is left of the tree
                failpoint("after_exit_seen")

    def tree_is_empty(self) -> bool:
        """No process of the tree lives. A subreaper without children has no descendants either."""
        if not self.childless:
            return False
        if self.subreaper:
            return True
        try:
            posix.killpg(self.pid, 0)
        except OSError:
            return True
        return False

    def settle(self, now: float) -> None:
        """What follows from the program having ended, as far as it has come."""
        if self.alive or self.leaving:
            return
        keep = self.spec["leftovers"] == "keep" and not self.stopping
        if self.exit is None and not keep and not self.gave_up and not self.tree_is_empty():
            if self.rung_at is None:
                self.begin_sweep(now)
            return
        if self.rung_at is not None and (self.gave_up or self.tree_is_empty()):
            self.rung_at = None
        if self.pipes and not keep and self.exit is None:
            if self.drain_at is None:
                self.drain_at = now + DRAIN_S
            if now < self.drain_at:
                return
            self.close_pipes()
        if self.exit is None:
            if keep:
                self.drain_present()
            self.record_exit()
        if self.exit is not None and not self.pipes and self.durable and self.rung_at is None:
            self.leaving = True

    # -- output

    def on_output(self, fd: int) -> None:
        if self.pipes[fd] == PTY:
            self.on_screen(fd)
            return
        try:
            data = posix.read(fd, READ_SIZE)
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
                part = posix.read(fd, READ_SIZE)
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
                    data = posix.read(fd, READ_SIZE)
                except OSError:
                    break
                if not data:
                    self.close_pipe(fd)
                    break
                self.spool.append(self.pipes[fd], data)

    def close_pipe(self, fd: int) -> None:
        self.unwatch(fd)
        posix.close(fd)
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

    # -- input

    def on_stdin(self, fd: int) -> None:
        """Move input along: first the bytes given at the start, then INPUT frames in order."""
        try:
            while self.fill_head():
                self.head = self.head[posix.write(fd, self.head) :]
            while self.inputs:
                first = self.inputs[0]
                first.written += posix.write(fd, first.data[first.written :])
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
            self.head = posix.read(self.stdin_file, READ_SIZE)
            if not self.head:
                posix.close(self.stdin_file)
                self.stdin_file = -1
        return bool(self.head)

    def close_stdin(self) -> None:
        if self.stdin_fd >= 0:
            self.unwatch(self.stdin_fd)
            posix.close(self.stdin_fd)
            self.stdin_fd = -1
        if self.stdin_file >= 0:
            posix.close(self.stdin_file)
            self.stdin_file = -1
        for waiting in self.inputs:
            if waiting.connection is not None:
                message = "the program no longer reads its input"
                self.refuse(waiting.connection, waiting.request, "ended", message)
        self.inputs = []

    # -- the stop ladder

    def begin_stop(self, reason: str, interrupt_ms: int, terminate_ms: int) -> None:
        """Start to end the whole tree, or hasten an ending that has begun."""
        self.reap()
        now = time.monotonic()
        self.terminate_ms = min(self.terminate_ms, terminate_ms) if self.stopping else terminate_ms
        if self.stopping:
            if self.rung in ("interrupt", "terminate") and self.alive and self.rung_at is not None:
                pause = interrupt_ms if self.rung == "interrupt" else terminate_ms
                self.rung_at = min(self.rung_at, now + pause / 1000)
            elif self.gave_up:
                self.gave_up, self.kill_began, self.rung_at = False, now, now
            return
        self.stopping = True
        if not self.alive:
            if self.rung_at is None and not self.tree_is_empty():
                self.begin_sweep(now)
            return
        self.ended_by = reason
        failpoint("after_stop_began")
        if interrupt_ms > 0:
            self.rung, self.rung_at = "interrupt", now + interrupt_ms / 1000
            self.signal_group(SIGINT)
        else:
            self.climb(now)

    def climb(self, now: float) -> None:
        """The next rung is due."""
        if self.rung in ("", "interrupt") and self.alive and self.terminate_ms > 0:
            self.rung, self.rung_at = "terminate", now + self.terminate_ms / 1000
            self.signal_group(SIGTERM)
            self.signal_members(SIGTERM, outside_group=True)
            if self.terminal:  # as when its window is closed: an interactive shell ignores SIGTERM
                self.signal_group(_signal.SIGHUP)
        elif self.rung != "kill":
            self.rung, self.rung_at, self.kill_began = "kill", now, now
            self.kill_pass(now)
        else:
            self.kill_pass(now)

    def begin_sweep(self, now: float) -> None:
        """The program has ended and others of its tree have not: ask them, then kill."""
        if self.rung == "kill":
            self.rung_at = now
            return
        for member in self.signal_members(SIGTERM):
            self.leftovers[member.pid] = member.label
        self.rung, self.rung_at = "terminate", now + LEFTOVER_S

    def kill_pass(self, now: float) -> None:
        """One sweep; the next is due soon, until no child is left or what is left cannot be killed."""
        living = descendants(self.me)
        if now - self.kill_began > GIVE_UP_S:
            self.survivors = [member.label for member in living]
            self.gave_up, self.rung_at = True, None
            if self.alive:
                self.abandon()
            return
        if self.alive:
            self.signal_group(SIGKILL)
        for member in living:
            self.killed[member.pid] = member.label
            if not self.alive:
                self.leftovers[member.pid] = member.label
            signal_member(member, SIGKILL)
        self.rung_at = now + PASS_S

    def abandon(self) -> None:
        """The program itself cannot be killed: say who still lives, and go on watching it."""
        for connection in list(self.connections.values()):
            self.send(connection, HELLO, self.hello())

    def signal_group(self, number: int) -> None:
        """To the program's own group; it leads its session, so the group is its own while it lives."""
        groups = [self.pid]
        front = self.terminal.interrupt_group() if self.terminal else 0
        if front and front != self.pid and any(m.group == front for m in descendants(self.me)):
            groups.append(front)  # the job that a shell in the terminal is running
        for group in groups:
            signal_quietly(posix.killpg, group, number)
            if number != SIGKILL:
                signal_quietly(posix.killpg, group, SIGCONT)  # a stopped process must hear it too

    def signal_members(self, number: int, outside_group: bool = False) -> "list[Member]":
        members = [m for m in descendants(self.me) if not outside_group or m.group != self.pid]
        for member in members:
            signal_member(member, number)
            signal_member(member, SIGCONT)
        return members

    # -- the exit record

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
            posix.fsync(self.reserve_fd)
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

    # -- connections

    def adopt(self, connected: "_socket.socket") -> Connection:
        connection = Connection(connected)
        self.connections[connected.fileno()] = connection
        self.watch(connected.fileno(), select.POLLIN, self.on_frame)
        return connection

    def on_connect(self, _: int) -> None:
        try:
            fd, _address = self.listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        connection = self.adopt(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd))
        if len(self.connections) > MAX_CONNECTIONS:
            self.drop(connection)
            return
        self.send(connection, HELLO, self.hello())

    def on_frame(self, fd: int) -> None:
        connection = self.connections[fd]
        if connection.unsent and not self.flushed(connection):
            return
        try:
            data = connection.socket.recv(READ_SIZE)
            if not data:
                raise ValueError("closed")
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
            write_all(2, ("request: %r\n" % (error,)).encode())
            self.drop(connection)

    def flushed(self, connection: Connection) -> bool:
        """Send what waits; False if that dropped the connection."""
        if not connection.flush():
            self.drop(connection)
            return False
        if connection.socket.fileno() in self.handlers:
            events = select.POLLIN | (select.POLLOUT if connection.unsent else 0)
            self.poll.modify(connection.socket.fileno(), events)
        return True

    def drop(self, connection: Connection) -> None:
        fd = connection.socket.fileno()
        if self.connections.pop(fd, None) is not None:
            self.unwatch(fd)
            connection.socket.close()
            self.inputs = [i for i in self.inputs if i.connection is not connection or i.written]
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

    # -- requests

    def answer(self, connection: Connection, kind: int, payload: bytes) -> None:
        request = 0
        try:
            if kind in (HOLD, WAIT, WATCH):
                (offset,) = _struct.unpack("!Q", payload)
                if kind != HOLD:
                    connection.wait, connection.pushed = offset, kind == WATCH
                    self.announce_to(connection)
                else:
                    connection.hold, connection.hold_until = offset, None
                    if connection is self.birth:
                        self.birth.hold_until = None
                return
            if kind == INPUT:
                (request,) = _struct.unpack_from("!I", payload)
                self.take_input(connection, request, payload[4:])
                return
            if kind == TYPE:
                request, automatic = _struct.unpack_from("!IB", payload)
                self.take_keys(connection, request, payload[5:], bool(automatic))
                return
            if kind == ANSWER:
                self.take_answer(connection, _struct.unpack_from("!Q", payload)[0], payload[8:])
                return
            asked = loads(payload)
            request = asked["id"]
            attached = self.of_connection.get(kind)
            if attached is not None:
                self.done(connection, request, attached(self, connection, asked))
                return
            handler = self.requests.get(kind)
            if handler is None:
                raise Refusal("unsupported", "keeper version %d does not know request %d" % (VERSION, kind))
            self.done(connection, request, handler(self, asked))
        except Refusal as refusal:
            self.refuse(connection, request, refusal.args[0], refusal.args[1])
        except (ValueError, KeyError, TypeError, _struct.error):  # type: ignore[attr-defined]
            self.drop(connection)

    def take_input(self, connection: Connection, request: int, data: bytes) -> None:
        if not self.alive or self.stdin_fd < 0 or self.closing_stdin:
            code = "ended" if self.alive is False or self.spec["stdin"] == "live" else "no_stdin"
            raise Refusal(code, "the program has no open input")
        if sum(len(waiting.data) for waiting in self.inputs) + len(data) > MAX_INPUT_QUEUE:
            raise Refusal("busy", "too much input is waiting for the program")
        if self.terminal:
            self.terminal.put_in(data)
        self.inputs.append(Input(connection, request, data))
        self.poll.modify(self.stdin_fd, select.POLLOUT)

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
            self.poll.modify(self.stdin_fd, select.POLLOUT)
        return {}

    def do_signal(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self.reap()
        if not self.alive:
            raise Refusal("ended", "the program has already ended")
        try:
            posix.killpg(self.pid, asked["number"])
        except OSError as error:
            raise Refusal("failed", "signal %s: %s" % (asked["number"], error.strerror)) from None
        return {}

    def do_stop(self, asked: "dict[str, Any]") -> "dict[str, Any]":
        self.begin_stop("stop", asked["interruptMs"], asked["terminateMs"])
        return {}

    def do_members(self, _: "dict[str, Any]") -> "dict[str, Any]":
        members = sorted(descendants(self.me), key=lambda member: member.pid != self.pid)
        return {"members": [{"pid": m.pid, "started": m.started, "name": m.name} for m in members]}

    def do_status(self, _: "dict[str, Any]") -> "dict[str, Any]":
        return self.hello()

    def do_collected(self, _: "dict[str, Any]") -> "dict[str, Any]":
        if self.exit is None:
            raise Refusal("running", "the program has not ended")
        self.durable = True
        return {}

    # -- the terminal

    def require_terminal(self) -> Terminal:
        if self.terminal is None:
            raise Refusal("no_terminal", "this agent runs on pipes and has no terminal")
        return self.terminal

    def push_input(self, data: bytes) -> None:
        """Put bytes that nobody waits for behind the input that is on its way."""
        if data and self.terminal and self.stdin_fd >= 0:
            self.terminal.put_in(data)
            self.inputs.append(Input(None, 0, data))
            self.poll.modify(self.stdin_fd, select.POLLOUT)

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
        self.poll.modify(self.stdin_fd, select.POLLOUT)

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

    # -- terminal queries: answered once, by one party

    def responder(self) -> "Connection | None":
        row = [c for c in self.connections.values() if c.responds]
        return min(row, key=lambda connection: connection.responds, default=None)

    def answer_due(self) -> "float | None":
        return self.terminal.queries.due if self.terminal else None

    def ask(self) -> None:
        """Hand all that is unanswered to one who emulates the terminal."""
        queries = self.terminal.queries if self.terminal else None
        if queries is None or not queries.asked:
            return
        responder = self.responder()
        if queries.due is None:
            queries.due = time.monotonic() + (ANSWER_S if responder is not None else NOBODY_S)
        if responder is not None:
            self.send_raw(responder, ASKED, _struct.pack("!QQ", queries.asked[0][0], queries.asked[-1][1]))

    def ask_anew(self) -> None:
        """Another one answers from now on, who has the full time for it."""
        if self.terminal:
            self.terminal.queries.due = None
            self.ask()

    def put_last(self, connection: Connection) -> None:
        """In the row of those who answer queries."""
        connection.responds = 1 + max([c.responds for c in self.connections.values()])

    def do_respond(self, connection: Connection, _: "dict[str, Any]") -> "dict[str, Any]":
        self.require_terminal()
        if not connection.responds:
            self.put_last(connection)
            if self.responder() is connection:
                self.ask_anew()
        return {}

    def take_answer(self, connection: Connection, upto: int, data: bytes) -> None:
        """Of the present responder only, and only to what is still open: nothing is answered twice."""
        if self.terminal and connection is self.responder() and self.terminal.queries.answered(upto):
            self.push_answer(data)

    def answer_late(self) -> None:
        """The time for an answer has passed: the next one in the row is asked, or nobody is left to ask."""
        assert self.terminal is not None
        queries, responder = self.terminal.queries, self.responder()
        if responder is not None:
            queries.tried += 1
            self.put_last(responder)
            if queries.tried < len([c for c in self.connections.values() if c.responds]):
                self.ask_anew()
                return
        self.push_answer(queries.plain_answers())

    of_connection: "dict[int, Callable[[Keeper, Connection, dict[str, Any]], dict[str, Any]]]" = {
        CANCEL_INPUT: do_cancel_input,
        ATTACH: do_attach,
        RESIZE: do_resize,
        RESPOND: do_respond,
        TERMINAL: do_terminal,
    }
    requests: "dict[int, Callable[[Keeper, dict[str, Any]], dict[str, Any]]]" = {
        STATUS: do_status,
        CLOSE_STDIN: do_close_stdin,
        SIGNAL: do_signal,
        STOP: do_stop,
        MEMBERS: do_members,
        COLLECTED: do_collected,
    }


# ---- starting ---------------------------------------------------------------------------------------


def keep(directory: str, lock_fd: int, control_fd: int, gate: bool) -> int:
    """Be the keeper of this directory's agent; the exit code of the process."""
    for fd in (lock_fd, control_fd):
        posix.set_inheritable(fd, False)  # the program must hold neither the lock nor the line
    fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # already ours: fails only if it was not handed over
    keeper = Keeper(directory, control_fd)
    try:
        started = keeper.start(gate)
    except Abandoned:
        return 1  # another keeper may have begun in this directory: nothing in it is ours
    if not started:
        keeper.say_goodbye()
        return 1
    keeper.run()
    return 0


def zygote(fd: int) -> None:
    """Keep a process ready to be the next keeper, until the daemon at the other end of `fd` is gone.

    A request is one packet on `fd`: JSON {directory, umask, failpoints} with the lock, the control connection
    and the log as file descriptors. The process that is ready takes it and becomes the keeper, always
    with a gate; then the next is forked. All that keepers need has been loaded by then, so that they share
    its memory. There is one thread and nothing but C modules: a fork of that is safe. Keepers know nothing
    of their origin and outlive it; the one that is still waiting does not.
    """
    server = _socket.socket(fileno=fd)
    posix.set_inheritable(fd, False)
    if not become_subreaper():
        return  # without prctl its keepers would be less than executed ones
    PRCTL[0](36, 0, 0, 0, 0)  # it was for what that loads; orphans of a killed keeper are not ours to have
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # nobody has to collect a keeper
    for _ in range(WARM_UP):
        rehearse()
    server.send(b"ready")
    if not server.recv(READ_SIZE):  # until we are in the cgroup that keepers are to live in
        return
    gc.collect()
    gc.freeze()
    poll = select.poll()
    poll.register(fd, 0)  # tells nothing but that the daemon has hung up
    me = posix.getpid()
    while True:
        taken, notify = posix.pipe()
        try:
            if posix.fork() == 0:
                posix.close(taken)
                wait_to_be_born(server, notify, me)
        except OSError:
            pass  # no process can be had now: as if it had died, below
        posix.close(notify)
        poll.register(taken, select.POLLIN)
        if any(found == fd for found, _ in poll.poll()):
            return
        poll.unregister(taken)
        if not posix.read(taken, 1) and poll.poll(FORK_PAUSE_MS):
            return
        posix.close(taken)


def wait_to_be_born(server: "_socket.socket", notify: int, zygote_pid: int) -> None:
    """In the forked process: take the next request and be its keeper, as if executed. Never returns."""
    code = 1
    try:
        prctl = PRCTL[0]
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if posix.getppid() != zygote_pid:
            posix._exit(0)  # it died before that
        posix.setsid()
        prctl(PR_SET_NAME, b"muster-keeper", 0, 0, 0)
        rehearse()
        data, handed = receive(server)
        if not data:
            posix._exit(0)
        prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
        TAKEN.append(notify)
        server.close()
        request = loads(data)
        lock_fd, control_fd, log_fd = handed
        posix.dup2(log_fd, 2)
        posix.close(log_fd)
        posix.umask(request["umask"])
        ARMED[:] = request["failpoints"]
        failpoint("in_zygote")
        code = keep(request["directory"], lock_fd, control_fd, True)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        make_way()
        posix._exit(code)


TAKEN: "list[int]" = []  # in a forked keeper: where it tells its zygote to fork the next


def make_way() -> None:
    """Let the next keeper be forked: on a small machine that would slow down the start of this one."""
    while TAKEN:
        notify = TAKEN.pop()
        try:
            posix.write(notify, b"!")
        except OSError:
            pass  # the zygote is gone
        posix.close(notify)


def rehearse() -> None:
    """Do some of what every keeper does at its start, so that doing it is quick.

    In the fork server often enough for the interpreter to have specialized the code (each keeper would
    copy the pages where that is noted); in the process that waits once, for the pages that it writes to.
    """
    spec = loads(dumps({"text": "x", "number": 1, "list": [None, True], "nested": {"a": "b"}}).encode())
    dumps({"me": started_of(posix.getpid()), "boot": boot_id(), "spec": spec})
    MemoryEvidence()
    Spool("/", 1, 1).held()


def receive(server: "_socket.socket") -> "tuple[bytes, list[int]]":
    """One request and its file descriptors; empty at the end."""
    try:
        data, notes, _, _ = server.recvmsg(READ_SIZE, 64, CMSG_CLOEXEC)
    except OSError:
        return b"", []
    handed: "list[int]" = []
    for _, kind, content in notes:
        if kind == _socket.SCM_RIGHTS:
            handed += _struct.unpack("%di" % (len(content) // 4), content[: len(content) // 4 * 4])
    return data, handed


def main() -> None:
    if sys.argv[1] == "--zygote":
        zygote(int(sys.argv[2]))
    else:
        sys.exit(keep(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["gate"]))


if __name__ == "__main__":
    main()
