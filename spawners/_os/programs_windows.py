# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Starting programs, and being told to end, where there are jobs and console events instead of signals."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import winreg
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from spawners._os import shims
from spawners._os.environment import Stored, merged
from spawners._os.facts import Process

__all__ = [
    "Group",
    "find_program",
    "listen",
    "on_told_to_end",
    "program_folders",
    "read_pipe",
    "start_again",
    "start_server",
    "stored_environment",
]

CHUNK = 65536
BREAKAWAY = getattr(subprocess, "CREATE_BREAKAWAY_FROM_JOB", 0x01000000)
SUSPENDED = 0x4
KILL_ON_CLOSE, EXTENDED_LIMITS, FLAGS_AT = 0x2000, 9, 16
LIMITS_SIZE = 144
"""Of JOBOBJECT_EXTENDED_LIMIT_INFORMATION in 64 bits; `LimitFlags` is behind two 64-bit numbers."""
CLOSING_S = 4.5
"""Windows ends a program five seconds after it has been told that its console is closed."""

MACHINE = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
PLACES = ((winreg.HKEY_LOCAL_MACHINE, MACHINE), (winreg.HKEY_CURRENT_USER, "Volatile Environment"))
USERS = (winreg.HKEY_CURRENT_USER, "Environment")

program_folders = (
    *(r"~\.local\bin", r"~\.bun\bin", r"~\.cargo\bin", r"~\.claude\local", r"~\.opencode\bin"),
    *(r"%APPDATA%\npm", r"%LOCALAPPDATA%\pnpm", r"%LOCALAPPDATA%\Volta\bin", r"%USERPROFILE%\scoop\shims"),
    *(r"%LOCALAPPDATA%\Yarn\bin", r"%PROGRAMFILES%\nodejs", r"%LOCALAPPDATA%\Programs\nodejs"),
    *(r"%LOCALAPPDATA%\Microsoft\WinGet\Links", r"%LOCALAPPDATA%\Microsoft\WindowsApps"),
    *(r"%SYSTEMROOT%\System32", r"%SYSTEMROOT%"),
)
"""Where installers put CLIs."""

EVENTS = {0: signal.SIGINT, 1: signal.SIGBREAK, 2: signal.SIGTERM, 5: signal.SIGTERM, 6: signal.SIGTERM}
"""CTRL_C, CTRL_BREAK, the console is closed, the user logs off, Windows shuts down."""
_Handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateJobObjectW.restype = ctypes.c_void_p
_kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p]
_kernel.SetInformationJobObject.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32]
_kernel.AssignProcessToJobObject.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_kernel.TerminateJobObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
_kernel.CloseHandle.argtypes = [ctypes.c_void_p]
_kernel.SetConsoleCtrlHandler.argtypes = [ctypes.c_void_p, ctypes.c_int]
_nt = ctypes.WinDLL("ntdll")
_nt.NtResumeProcess.argtypes = [ctypes.c_void_p]


def find_program(name: str, path: str) -> str | None:
    """The absolute path of the program `name` among the folders of `path`, or of a batch file naming it."""
    return shims.find(name, path)


def stored_environment() -> dict[str, str] | None:
    """What a program started by the desktop now would have: a daemon's own is as old as its logon."""
    layers = [_values(*place) for place in (*PLACES, USERS)]
    return merged(layers, os.environ)


def _values(root: int, path: str) -> Stored:
    found: dict[str, tuple[str, bool]] = {}
    with contextlib.suppress(OSError), winreg.OpenKey(root, path) as key:
        for index in range(winreg.QueryInfoKey(key)[1]):
            name, value, kind = winreg.EnumValue(key, index)
            if kind in (winreg.REG_SZ, winreg.REG_EXPAND_SZ) and isinstance(value, str):
                found[name] = (value, kind == winreg.REG_EXPAND_SZ)
    return found


def start_server(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: str, output: BinaryIO
) -> "subprocess.Popen[bytes]":
    """Start a program that is not to end with us, our console or our job, where that lets go of it.

    It gets a console that nobody sees: without any, each program it runs would flash up one of its own. A
    virtual environment's `python.exe` is only a launcher with another pid, so what it launches is started.
    """
    first, variables = argv[0], dict(env)
    base = getattr(sys, "_base_executable", first)
    if first == sys.executable != base:
        first, variables["__PYVENV_LAUNCHER__"] = base, first
    flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP

    def start(creationflags: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [first, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=variables,
            creationflags=creationflags,
        )

    try:
        return start(flags | BREAKAWAY)
    except PermissionError:  # our job keeps what it has
        return start(flags)


def start_again(argv: Sequence[str]) -> None:
    """Start `argv` with our own output before we end: a program cannot become another one here."""
    with open(os.dup(1), "wb") as output:
        start_server(argv, env=os.environ, cwd=os.getcwd(), output=output)


class Group:
    """A program in a job of its own, with all that it starts; its stdout is a pipe. No console is shown."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        self._job = _job()
        try:
            self.process = subprocess.Popen(
                shims.resolve(argv, env.get("PATH", "")),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                creationflags=subprocess.CREATE_NO_WINDOW | SUSPENDED,
            )
        except BaseException:
            _kernel.CloseHandle(self._job)
            raise
        handle = int(getattr(self.process, "_handle"))  # noqa: B009 # of its class, not of the stub's
        _kernel.AssignProcessToJobObject(self._job, handle)
        _nt.NtResumeProcess(handle)

    def has_ended(self, process: Callable[[int], Process | None]) -> bool:
        """By the handle that we hold, and with it its number."""
        return self.process.poll() is not None

    def kill(
        self, processes: Callable[[], list[Process]], send_signal: Callable[[Process, int], bool]
    ) -> None:
        """Kill all of the job."""
        _kernel.TerminateJobObject(self._job, 1)
        _kernel.CloseHandle(self._job)


def _job() -> int:
    job = _kernel.CreateJobObjectW(None, None)
    limits = ctypes.create_string_buffer(LIMITS_SIZE)
    ctypes.c_uint32.from_buffer(limits, FLAGS_AT).value = KILL_ON_CLOSE
    if not job or not _kernel.SetInformationJobObject(job, EXTENDED_LIMITS, limits, LIMITS_SIZE):
        raise ctypes.WinError(ctypes.get_last_error())
    return int(job)


def read_pipe(fd: int, take: Callable[[bytes], None]) -> Callable[[], None]:
    """Hand `take` what comes through a pipe, empty at its end; call the result to stop that.

    A thread reads, as nothing else can of a pipe like this; it ends when all who might write have.
    """
    loop = asyncio.get_running_loop()
    stopped = threading.Event()

    def hand_on(piece: bytes) -> None:
        if not stopped.is_set():
            take(piece)

    def read() -> None:
        piece = b"x"
        while piece:
            try:
                piece = os.read(fd, CHUNK)
            except OSError:
                piece = b""
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(hand_on, piece)

    threading.Thread(target=read, daemon=True, name="pipe").start()
    return stopped.set


def on_told_to_end(tell: Callable[[int], None]) -> None:
    """Call `tell`, in another thread, with the number of what asks this program to end.

    A handler of `signal` would not run while the main thread waits for a lock, which nothing interrupts here.
    """
    _Console(tell)


def listen(handlers: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """Call in the running loop what `handlers` has for the name of a signal; call the result to stop that.

    What Windows knows of those is SIGINT, which is also CTRL_BREAK's, and SIGTERM: its console is closed.
    """
    loop = asyncio.get_running_loop()

    def tell(number: int) -> None:
        name = "SIGTERM" if number == signal.SIGTERM else "SIGINT"
        if name in handlers:
            loop.call_soon_threadsafe(handlers[name])

    return _Console(tell).close


class _Console:
    """Hears what happens to our console, until it is closed."""

    kept: "set[_Console]" = set()

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._handler = _Handler(self._heard)
        self.kept.add(self)  # Windows does not hold on to it
        _kernel.SetConsoleCtrlHandler(self._handler, 1)

    def _heard(self, event: int) -> int:
        if event not in EVENTS:
            return 0
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._tell(EVENTS[event])
        if EVENTS[event] == signal.SIGTERM:
            threading.Event().wait(CLOSING_S)  # we are ended when this returns
        return 1

    def close(self) -> None:
        _kernel.SetConsoleCtrlHandler(self._handler, 0)
        self.kept.discard(self)
