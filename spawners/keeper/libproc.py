# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""The process table of macOS: libproc and sysctl, called through ctypes. Never loaded on Linux.

Layouts and numbers are those of XNU's headers: `proc_bsdinfo` and `proc_bsdshortinfo` of
bsd/sys/proc_info.h, `proc_uniqidentifierinfo` of bsd/sys/proc_info_private.h, the states of
bsd/sys/proc.h, KERN_PROCARGS2 of bsd/sys/sysctl.h. The daemon reads by the same code, so that what both
say of a process can be compared.
"""

import _struct
import posix

MYPY = False
if MYPY:
    from typing import Any

BSDINFO = _struct.Struct("=12I16s32s5Ii2Q")
SHORT = _struct.Struct("=4I16s8I")  # told of everybody's processes, and holds no start time
UNIQUE = _struct.Struct("=16s2Q2i2Q")
PROC_ALL_PIDS = 1
PROC_PIDTBSDINFO, PROC_PIDT_SHORTBSDINFO, PROC_PIDUNIQIDENTIFIERINFO = 3, 13, 17
ZOMBIES_TOO = 1
STATES = {4: "T", 5: "Z"}  # SSTOP and SZOMB, in the letters of Linux; all else counts as running
CTL_KERN, KERN_PROCARGS2 = 1, 49
ARGUMENTS_MAX = 1 << 20  # kern.argmax of every macOS so far
FIRST_ROOM = 4096  # process numbers; doubled until all fit

LIBRARY: "list[Any]" = []  # found once, at the start: Python may be replaced while a keeper runs
ROOM: "list[Any]" = []  # for arguments; a megabyte anew for each process would take longer than the call


def library() -> "Any":
    if not LIBRARY:
        import ctypes  # noqa: PLC0415

        found = ctypes.CDLL(None, use_errno=True)
        number, pointer = ctypes.c_int, ctypes.c_void_p
        found.proc_listpids.argtypes = [ctypes.c_uint32, ctypes.c_uint32, pointer, number]
        found.proc_pidinfo.argtypes = [number, number, ctypes.c_uint64, pointer, number]
        found.sysctl.argtypes = [pointer, ctypes.c_uint, pointer, pointer, pointer, ctypes.c_size_t]
        found.sysctlbyname.argtypes = [ctypes.c_char_p, pointer, pointer, pointer, ctypes.c_size_t]
        LIBRARY.append(found)
    return LIBRARY[0]


class Entry:
    """One process as it was when read. `started` is in microseconds since the epoch, as the clock stood
    then: the kernel never changes it. 0: it is another user's, of whom that is not told."""

    __slots__ = ("group", "name", "parent", "pid", "session", "started", "state")

    def __init__(self, pid: int) -> None:
        """Raises OSError if there is no such process."""
        self.pid = pid
        data = info(pid, PROC_PIDTBSDINFO, BSDINFO.size)
        if data:
            fields = BSDINFO.unpack(data)
            status, self.parent, self.group = fields[1], fields[4], fields[15]
            name = fields[13].split(b"\0")[0] or fields[12].split(b"\0")[0]
            self.started: int = fields[20] * 1000000 + fields[21]
        else:
            fields = SHORT.unpack(info(pid, PROC_PIDT_SHORTBSDINFO, SHORT.size) or missing(pid))
            _, self.parent, self.group, status, name = fields[:5]
            self.started = 0
        self.name = name.split(b"\0")[0].decode("utf-8", "replace")
        self.state = STATES.get(status, "R")
        try:
            self.session = posix.getsid(pid)
        except OSError:  # a zombie, or gone since
            self.session = 0

    @property
    def label(self) -> str:
        return "%d %s" % (self.pid, self.name)


def missing(pid: int) -> bytes:
    raise ProcessLookupError(3, "there is no process %d" % pid)


def info(pid: int, flavor: int, size: int) -> bytes:
    """What libproc tells of the process; empty if nothing, or in another layout than is known here."""
    import ctypes  # noqa: PLC0415

    buffer = ctypes.create_string_buffer(size)
    got = library().proc_pidinfo(pid, flavor, ZOMBIES_TOO, buffer, size)
    return buffer.raw if got == size else b""


def pids() -> "list[int]":
    """The numbers of all processes. Raises OSError if the table cannot be read."""
    import ctypes  # noqa: PLC0415

    size = FIRST_ROOM * 4
    while True:
        buffer = ctypes.create_string_buffer(size)
        got = library().proc_listpids(PROC_ALL_PIDS, 0, buffer, size)
        if got <= 0:
            raise OSError(ctypes.get_errno(), "proc_listpids has listed no process")
        if got < size:
            return [pid for (pid,) in _struct.iter_unpack("=i", buffer.raw[: got // 4 * 4]) if pid > 0]
        size *= 2


def everyone() -> "list[Entry]":
    """All that can be looked at, zombies included."""
    found = []
    for pid in pids():
        try:
            found.append(Entry(pid))
        except OSError:
            pass
    return found


def started_of(pid: int) -> int:
    """When the process started; 0 if that cannot be told."""
    try:
        return Entry(pid).started
    except OSError:
        return 0


def unique_of(pid: int) -> "tuple[int, int]":
    """The number of this process that no other ever has until the next boot, and that of the one which
    started it, whoever its parent is now. Zeros where that is not told."""
    data = info(pid, PROC_PIDUNIQIDENTIFIERINFO, UNIQUE.size)
    if not data:
        return 0, 0
    fields = UNIQUE.unpack(data)
    return fields[1], fields[2]


def boot_id() -> str:
    """Changes with every start of the machine. Raises OSError."""
    import ctypes  # noqa: PLC0415

    buffer, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    if library().sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0) != 0:
        raise OSError(ctypes.get_errno(), "kern.bootsessionuuid cannot be read")
    return buffer.value.decode()


def arguments_of(pid: int) -> bytes:
    """KERN_PROCARGS2 of the process. Raises OSError if it is gone, being executed or another user's."""
    import ctypes  # noqa: PLC0415

    if not ROOM:
        ROOM.append(ctypes.create_string_buffer(ARGUMENTS_MAX))
    name, size = (ctypes.c_int * 3)(CTL_KERN, KERN_PROCARGS2, pid), ctypes.c_size_t(ARGUMENTS_MAX)
    if library().sysctl(name, 3, ROOM[0], ctypes.byref(size), None, 0) != 0:
        raise OSError(ctypes.get_errno(), "the arguments of process %d cannot be read" % pid)
    return ctypes.string_at(ROOM[0], size.value)


def environment(data: bytes) -> "list[bytes]":
    """The variables in what KERN_PROCARGS2 gives: the number of arguments, the path of the program, some
    NULs, the arguments, the variables, and an empty string before what is only for the loader.

    None of them are told of programs that the system protects (those in /bin and /usr/bin among them).
    """
    (count,) = _struct.unpack_from("=i", data) if len(data) >= 4 else (0,)
    words = data[4:].partition(b"\0")[2].lstrip(b"\0").split(b"\0")[count:]
    return words[: words.index(b"")] if b"" in words else words


def has_mark(pid: int, mark: bytes) -> bool:
    """Whether it was executed with this variable. Raises OSError where that is not told."""
    return mark in environment(arguments_of(pid))
