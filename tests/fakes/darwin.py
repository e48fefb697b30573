"""macOS as its library calls show it, told of this Linux machine: the far end that our code for macOS
talks to. `install` puts it in the place of the real one, in a process that is to believe it runs on a Mac.

What it cannot show is whether a Mac really answers so. The layouts are written here once more, from the
headers and not from the code that reads them, field by field.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import sys
from collections.abc import Callable
from typing import Any

EPERM, ESRCH, EINVAL, ENOENT = errno.EPERM, errno.ESRCH, errno.EINVAL, errno.ENOENT
STATUS = {"T": 4, "t": 4, "Z": 5, "X": 5}


class ProcBsdInfo(ctypes.Structure):
    """`struct proc_bsdinfo` of bsd/sys/proc_info.h."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("flags", "status", "xstatus", "pid", "ppid", "uid", "gid")),
        *((name, ctypes.c_uint32) for name in ("ruid", "rgid", "svuid", "svgid", "rfu_1")),
        ("comm", ctypes.c_char * 16),
        ("name", ctypes.c_char * 32),
        *((name, ctypes.c_uint32) for name in ("nfiles", "pgid", "pjobc", "tdev", "tpgid")),
        ("nice", ctypes.c_int32),
        ("start_tvsec", ctypes.c_uint64),
        ("start_tvusec", ctypes.c_uint64),
    ]


class ProcBsdShortInfo(ctypes.Structure):
    """`struct proc_bsdshortinfo` of bsd/sys/proc_info.h."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("pid", "ppid", "pgid", "status")),
        ("comm", ctypes.c_char * 16),
        *((name, ctypes.c_uint32) for name in ("flags", "uid", "gid", "ruid", "rgid", "svuid", "svgid")),
        ("rfu", ctypes.c_uint32),
    ]


class ProcUniqIdentifierInfo(ctypes.Structure):
    """`struct proc_uniqidentifierinfo` of bsd/sys/proc_info_private.h."""

    _fields_ = [
        ("uuid", ctypes.c_uint8 * 16),
        ("uniqueid", ctypes.c_uint64),
        ("puniqueid", ctypes.c_uint64),
        ("idversion", ctypes.c_int32),
        ("orig_ppidversion", ctypes.c_int32),
        ("reserve2", ctypes.c_uint64),
        ("reserve3", ctypes.c_uint64),
    ]


class Function:
    """A function of a C library: it has types that can be set."""

    def __init__(self, function: Callable[..., int]) -> None:
        self.function = function
        self.argtypes: Any = None

    def __call__(self, *arguments: Any) -> int:
        return self.function(*arguments)


def stat(pid: int) -> tuple[str, list[str]]:
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    close = text.rindex(")")
    return text[text.index("(") + 1 : close], text[close + 2 :].split()


def fail(number: int, result: int) -> int:
    ctypes.set_errno(number)
    return result


class Library:
    """libSystem. `protected` are names of programs whose environment is not told, as that of those in /bin
    is not; `foreign` pids belong to somebody else; `starters` says who started a process: the parent that it
    had when it was first asked for."""

    def __init__(self) -> None:
        self.protected: set[str] = set()
        self.foreign: set[int] = set()
        self.starters: dict[int, int] = {}
        self.tells_unique = True
        self.proc_listpids = Function(self._listpids)
        self.proc_pidinfo = Function(self._pidinfo)
        self.sysctl = Function(self._sysctl)
        self.sysctlbyname = Function(self._sysctlbyname)

    def _listpids(self, kind: int, of: int, buffer: Any, size: int) -> int:
        assert kind == 1 and of == 0
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        data = b"".join(pid.to_bytes(4, sys.byteorder) for pid in pids)[: size // 4 * 4]
        ctypes.memmove(buffer, data, len(data))
        return len(data)

    def _pidinfo(self, pid: int, flavor: int, arg: int, buffer: Any, size: int) -> int:
        try:
            name, fields = stat(pid)
        except OSError:
            return fail(ESRCH, 0)
        if fields[0] in "ZX" and not (arg == 1 and flavor in (3, 13)):
            return fail(ESRCH, 0)
        made = {3: self._bsd, 13: self._short, 17: self._unique}[flavor](pid, name, fields)
        if made is None or size < ctypes.sizeof(made):
            return fail(EPERM, 0)
        ctypes.memmove(buffer, bytes(made), ctypes.sizeof(made))
        return ctypes.sizeof(made)

    def _bsd(self, pid: int, name: str, fields: list[str]) -> ctypes.Structure | None:
        if pid in self.foreign:
            return None
        ticks = int(fields[19])
        return ProcBsdInfo(
            status=STATUS.get(fields[0], 2),
            pid=pid,
            ppid=int(fields[1]),
            uid=os.getuid(),
            comm=name.encode()[:16],
            name=name.encode()[:32],
            pgid=int(fields[2]),
            start_tvsec=ticks // 1_000_000,
            start_tvusec=ticks % 1_000_000,
        )

    def _short(self, pid: int, name: str, fields: list[str]) -> ctypes.Structure:
        status = STATUS.get(fields[0], 2)
        ids = {"ppid": int(fields[1]), "pgid": int(fields[2])}
        return ProcBsdShortInfo(pid=pid, status=status, comm=name.encode()[:16], uid=0, **ids)

    def _unique(self, pid: int, name: str, fields: list[str]) -> ctypes.Structure | None:
        if not self.tells_unique:
            return None
        starter = self.starters.setdefault(pid, int(fields[1]))
        return ProcUniqIdentifierInfo(uniqueid=1_000_000 + pid, puniqueid=1_000_000 + starter)

    def _sysctl(self, name: Any, count: int, old: Any, length: Any, new: None, zero: int) -> int:
        kern, procargs, pid = name
        assert (count, kern, procargs, new, zero) == (3, 1, 49, None, 0)
        try:
            words = self._arguments(pid)
        except OSError:
            return fail(EINVAL, -1)
        if pid in self.foreign:
            return fail(EINVAL, -1)
        return _give(words, old, length)

    def _arguments(self, pid: int) -> bytes:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read()
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read()
        if stat(pid)[0] in self.protected:
            variables = b""
        path = os.fsencode(os.readlink(f"/proc/{pid}/exe")) + b"\0" * 5
        count = arguments.count(b"\0").to_bytes(4, sys.byteorder)
        return count + path + arguments + variables + b"\0executable_path=/x\0ptr_munge=\0"

    def _sysctlbyname(self, name: bytes, old: Any, length: Any, new: None, zero: int) -> int:
        if name != b"kern.bootsessionuuid":
            return fail(ENOENT, -1)
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return _give(file.read().strip() + b"\0", old, length)


def _give(data: bytes, old: Any, length: Any) -> int:
    if len(data) > length._obj.value:
        return fail(errno.ENOMEM, -1)
    ctypes.memmove(old, data, len(data))
    length._obj.value = len(data)
    return 0


class Event:
    """`struct kevent`, as far as exits go."""

    def __init__(self, ident: int, kind: int, flags: int, fflags: int) -> None:
        assert kind == select.KQ_FILTER_PROC and fflags == select.KQ_NOTE_EXIT  # type: ignore[attr-defined]
        self.ident = ident


class Kqueue:
    """Tells of exits, of children and of others; with pidfds behind it."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.pidfds: list[int] = []

    def fileno(self) -> int:
        return self.epoll.fileno()

    def control(self, changes: list[Event] | None, most: int, timeout: float | None = None) -> list[int]:
        for change in changes or ():
            with contextlib.suppress(OSError):
                if stat(change.ident)[1][0] in "ZX":
                    raise ProcessLookupError(ESRCH, "a zombie is not found")
            pidfd = os.pidfd_open(change.ident)  # ProcessLookupError where there is none
            self.pidfds.append(pidfd)
            self.epoll.register(pidfd, select.EPOLLIN | select.EPOLLONESHOT)
        return [fd for fd, _ in self.epoll.poll(timeout or 0, most)] if most else []

    def close(self) -> None:
        self.epoll.close()
        for pidfd in self.pidfds:
            os.close(pidfd)


def install(*protected: str) -> Library:
    """Make this process believe that it runs on a Mac. Only for one that has not loaded any of ours."""
    library = Library()
    library.protected.update(protected)
    sys.platform = "darwin"
    ctypes.CDLL = lambda *_, **__: library  # type: ignore[misc, assignment]
    for name, value in {"KQ_FILTER_PROC": -5, "KQ_EV_ADD": 1, "KQ_EV_ONESHOT": 16}.items():
        setattr(select, name, value)
    setattr(select, "KQ_NOTE_EXIT", 0x80000000)  # noqa: B010
    setattr(select, "kqueue", Kqueue)  # noqa: B010
    setattr(select, "kevent", Event)  # noqa: B010
    return library
