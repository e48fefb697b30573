"""What the rest stands on: files, polling, the clock, signals, and places to die at in tests.

The same names on every system; those of Windows are in `windows/system.py`.
"""

import sys
import time

if sys.platform == "win32":
    from spawners.keeper.windows.system import (
        APPEND,
        CREATE,
        POLLERR,
        POLLIN,
        POLLOUT,
        READ,
        Poll,
        close,
        complain,
        exists,
        fsync,
        getpid,
        lseek,
        open_file,
        read,
        remove,
        rename,
        sync_directory,
        truncate,
        vanish,
        variable,
        write,
    )
else:
    import fcntl
    import posix
    from posix import close, getpid, lseek, read, rename, write
    from posix import ftruncate as truncate
    from posix import unlink as remove
    from select import POLLERR, POLLIN, POLLOUT
    from select import poll as Poll

    F_BARRIERFSYNC = 85  # <sys/fcntl.h> of macOS; `fcntl` does not name it
    READ = posix.O_RDONLY
    CREATE = posix.O_RDWR | posix.O_CREAT | posix.O_TRUNC
    APPEND = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND

    def open_file(path: str, flags: int) -> int:
        """Open a file that no program we start gets to see; a new one is for its owner alone."""
        return posix.open(path, flags | posix.O_CLOEXEC, 0o600)

    def fsync(fd: int) -> None:
        """Have what was written reach the disk before what is written next. macOS lets its disks reorder
        what was only synced; having them empty their caches (F_FULLFSYNC) would take tens of milliseconds."""
        if DARWIN:
            try:
                fcntl.fcntl(fd, F_BARRIERFSYNC)
                return
            except OSError:
                pass  # not on a network disk
        posix.fsync(fd)

    def exists(path: str) -> bool:
        try:
            posix.stat(path)
        except OSError:
            return False
        return True

    def sync_directory(path: str) -> None:
        """Make the names in it durable. Best effort: only a power loss right now could undo them."""
        fd = open_file(path, READ)
        try:
            fsync(fd)
        except OSError:
            pass
        finally:
            close(fd)

    def complain(text: str) -> None:
        """Into the log, as far as the disk has space for it."""
        data = text.encode()
        try:
            while data:
                data = data[write(2, data) :]
        except OSError:
            pass

    def variable(name: str) -> str:
        return posix.environ.get(name.encode(), b"").decode()

    def vanish() -> None:
        posix.kill(getpid(), SIGKILL)


SIGINT, SIGKILL, SIGTERM = 2, 9, 15
LINUX = sys.platform == "linux"
DARWIN = sys.platform == "darwin"
ARMED = variable("MUSTER_FAILPOINT").split(",")

__all__ = [
    "APPEND",
    "ARMED",
    "CREATE",
    "DARWIN",
    "LINUX",
    "POLLERR",
    "POLLIN",
    "POLLOUT",
    "READ",
    "SIGINT",
    "SIGKILL",
    "SIGTERM",
    "Poll",
    "close",
    "complain",
    "exists",
    "failpoint",
    "fsync",
    "getpid",
    "lseek",
    "now_ms",
    "open_file",
    "read",
    "remove",
    "rename",
    "sync_directory",
    "truncate",
    "vanish",
    "variable",
    "write",
]


def now_ms() -> int:
    return int(time.time() * 1000)


def failpoint(name: str) -> None:
    """Die at once, without any clean-up, where a test wants that."""
    if name in ARMED:
        vanish()
