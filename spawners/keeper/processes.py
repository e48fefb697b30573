# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Processes as /proc tells of them, and signals that reach exactly the one that is meant."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import errno
import posix

from spawners.keeper.files import read_file
from spawners.keeper.system import LINUX

MYPY = False
if MYPY:
    from collections.abc import Callable

BOOT_ID: "list[str]" = []  # read once; a fork server has it before it forks
PRCTL: "list[Callable[..., int]]" = []  # found once; a fork server has it before it forks


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

        function: Callable[..., int] = Function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"))  # type: ignore[arg-type]
    except Exception:
        import ctypes  # noqa: PLC0415

        function = ctypes.CDLL(None).prctl
    return function


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
    below: dict[int, list[Member]] = {}
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
