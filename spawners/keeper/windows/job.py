# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The program and all that it starts: one job object, which nothing of it can leave."""

import ctypes
import hashlib
import os
import threading
from ctypes import wintypes

from spawners.keeper.connection import Refusal
from spawners.keeper.system import now_ms
from spawners.keeper.windows import api
from spawners.keeper.windows.execute import create
from spawners.keeper.windows.identity import name_of
from spawners.keeper.windows.system import Bell, write_first

MYPY = False
if MYPY:
    from typing import Any

    from spawners.keeper.terminal import Terminal

KILLED = 1  # exit code of what we kill; `taskkill` has the same
EXTENDED_LIMITS, ACCOUNTING, COMPLETION_PORT, CPU_RATE = 9, 1, 7, 15
KILL_ON_CLOSE, MEMORY_LIMIT, DIE_ON_CRASH = 0x2000, 0x200, 0x400
RATE_ENABLED, RATE_HARD = 1, 4
JOB_MEMORY_LIMIT = 10  # a message: an allocation was refused for the limit
CTRL_BREAK = 1
SIGINT, SIGBREAK, FATAL = 2, 21, (9, 15)
WORDS = {
    0xC0000005: "access violation",
    0xC0000017: "not enough memory",
    0xC000001D: "illegal instruction",
    0xC0000094: "division by zero",
    0xC00000FD: "stack overflow",
    0xC0000135: "a DLL was not found",
    0xC0000142: "a DLL could not be initialized",
    0xC000013A: "ended by Ctrl-C, Ctrl-Break or the closing of its console",
    0xC0000374: "heap corruption",
    0xC0000409: "stopped itself at once (fail fast, abort)",
    0x40010004: "ended by the system's shutdown",
}


def job_name(directory: str) -> str:
    """The name of the job of this directory's agent, in the user's session."""
    known = os.path.normcase(os.path.abspath(directory))
    return "Local\\muster-" + hashlib.sha256(known.encode()).hexdigest()[:32]


class Member:
    """A process of the job."""

    __slots__ = ("name", "pid", "started")

    def __init__(self, pid: int, started: int, name: str) -> None:
        self.pid, self.started, self.name = pid, started, name

    @property
    def label(self) -> str:
        return "%d %s" % (self.pid, self.name)


class Ended:
    """How the program itself ended, and what its whole tree has used. There are no signals here."""

    __slots__ = ("at_ms", "code", "cpu_ms", "max_rss", "note", "signal")

    def __init__(self, process: int, job: int) -> None:
        code, memory = wintypes.DWORD(), api.MEMORY_COUNTERS()
        self.at_ms = now_ms()
        api.exit_code(process, code)
        self.code, self.signal = code.value, None
        memory.cb = ctypes.sizeof(memory)
        api.process_memory(process, ctypes.byref(memory), memory.cb)
        self.max_rss = memory.peak
        try:
            used = api.structure(api.ACCOUNTING, job, ACCOUNTING)
            self.cpu_ms = (used.user + used.kernel) // 10000
        except OSError:
            self.cpu_ms = api.started_and_used(process)[1] // 10000
        words = WORDS.get(code.value)
        self.note = "%s (0x%08X)" % (words, code.value) if words else ""


class Tree:
    """A named job that is ended with the last handle to it, which is ours: a killed keeper leaves nothing."""

    def __init__(self, directory: str) -> None:
        self.pid = 0
        self.process = 0
        self.collected = False
        self.refused_memory = False
        self.job = api.create_job(None, job_name(directory))
        if not self.job:
            raise api.failure()

    def start(self, spec: "dict[str, Any]", stdio: "list[int] | Terminal", wake: int) -> int:
        """Execute the program in the job. Raises NotStarted, or OSError for what the job is not given."""
        self.limit(KILL_ON_CLOSE | DIE_ON_CRASH, spec.get("memoryBytes"))
        if spec.get("cpus"):
            share = int(spec["cpus"] / (os.cpu_count() or 1) * 10000)
            self.tell(CPU_RATE, api.CPU_RATE(RATE_ENABLED | RATE_HARD, min(10000, max(1, share))))
        self.memory_limit = spec.get("memoryBytes")
        port = api.create_port(api.INVALID, None, 0, 1)
        self.tell(COMPLETION_PORT, api.COMPLETION_PORT(None, port))
        if isinstance(stdio, list):
            self.process, self.pid = create(spec, self.job, stdio, None)
        else:
            self.process, self.pid = create(spec, self.job, [], stdio.console)
            stdio.is_used()
        bell = Bell.of(wake)
        threading.Thread(target=self.watch_program, args=(bell,), daemon=True).start()
        threading.Thread(target=self.watch_job, args=(port, bell), daemon=True).start()
        return self.pid

    def limit(self, flags: int, memory: "int | None") -> None:
        limits = api.EXTENDED_LIMITS()
        limits.flags = flags | (MEMORY_LIMIT if memory else 0)
        limits.job_memory = memory or 0
        self.tell(EXTENDED_LIMITS, limits)

    def tell(self, number: int, value: "Any") -> None:
        if not api.set_job(self.job, number, ctypes.byref(value), ctypes.sizeof(value)):
            raise api.failure()

    def watch_program(self, bell: Bell) -> None:
        api.wait_for(self.process, api.INFINITE)
        bell.ring()

    def watch_job(self, port: int, bell: Bell) -> None:
        """Each process that begins or ends is a message; so is an allocation refused for the limit."""
        kind, key, value = wintypes.DWORD(), ctypes.c_size_t(), ctypes.c_void_p()
        while api.next_message(port, kind, key, value, api.INFINITE):
            self.refused_memory |= kind.value == JOB_MEMORY_LIMIT
            bell.ring()

    def pids(self) -> "list[int] | None":
        """None if Windows does not tell: the agent must not end of that, as it would with us."""
        try:
            return api.process_ids(self.job)
        except OSError:
            return None

    def members(self) -> "list[Member]":
        members = []
        for pid in self.pids() or ():
            process = api.open_process(api.QUERY, False, pid)
            if not process:
                continue
            try:
                members.append(Member(pid, api.started_and_used(process)[0], name_of(process)))
            except OSError:
                pass
            finally:
                api.close_handle(process)
        return members

    def reap(self) -> "Ended | None":
        if self.collected or not self.process or api.wait_for(self.process, 0) != 0:
            return None
        self.collected = True
        ended = Ended(self.process, self.job)
        if self.refused_memory and not ended.note and ended.code:
            ended.note = "its memory limit of %d bytes was reached" % (self.memory_limit or 0)
        return ended

    def is_empty(self) -> bool:
        """Nothing of the job lives; asked twice, as one that is being made may be in neither list."""
        return self.pids() == [] and self.pids() == []

    def signal(self, number: int, terminal: "Terminal | None") -> None:
        """The few signals that have a meaning here. Raises Refusal."""
        if number == SIGINT or (number == SIGBREAK and terminal is None):
            if not (self.interrupt(terminal) if number == SIGINT else self.press_break()):
                raise Refusal("failed", "signal %s: its console does not take it" % number)
        elif number in FATAL:
            api.terminate_process(self.process, KILLED)
        else:
            raise Refusal("failed", "signal %s: there is no such signal on Windows" % number)

    def interrupt(self, terminal: "Terminal | None") -> bool:
        """Ctrl-C as a key of its terminal; without one CTRL_BREAK, which alone can be sent to a group."""
        return write_first(terminal.keyboard, b"\x03") if terminal else self.press_break()

    def press_break(self) -> bool:
        """Whether it could be sent, through the hidden console that the program shares with us."""
        return bool(api.console_event(CTRL_BREAK, self.pid))

    def terminate(self, terminal: "Terminal | None") -> bool:
        """Its console is closed, as when somebody closes the window; without one CTRL_BREAK once more."""
        return terminal.close_slave() if terminal else self.press_break()

    def ask_leftovers(self) -> "list[Member]":
        """Who outlived the program. Nothing can ask it: it may have another console, or none."""
        return self.members()

    def kill(self, living: "list[Member]", group: bool, terminal: "Terminal | None") -> None:
        api.terminate_job(self.job, KILLED)

    def release(self) -> None:
        """What is left may live on when we leave."""
        self.limit(DIE_ON_CRASH, self.memory_limit)
