# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""Whether the kernel killed a program for memory: evidence, never a guess."""

import posix

from spawners.keeper.files import read_file
from spawners.keeper.processes import descendants

MYPY = False
if MYPY:
    pass

INIT_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in the kernel


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
