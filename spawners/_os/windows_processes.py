# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Process facts from the snapshot of the system; the ends of processes, and how to bring one about."""

import asyncio
import contextlib
import ctypes
import itertools
from collections.abc import Callable
from ctypes import wintypes

from spawners._os.facts import Process
from spawners.keeper.windows import api
from spawners.keeper.windows.identity import started_of
from spawners.keeper.windows.job import job_name

__all__ = [
    "collect",
    "has_mark",
    "on_exit",
    "process",
    "processes",
    "proportional_bytes",
    "resident_bytes",
    "send_signal",
]

_JOB_QUERY, _QUERY_ALL = 4, 0x400  # PROCESS_QUERY_INFORMATION: wine wants more than Windows here
_PROCESSES = 2  # TH32CS_SNAPPROCESS


def processes() -> list[Process]:
    """Everything that runs. The number of a parent that ended may be another's by now: that is no parent."""
    table = api.snapshot(_PROCESSES, 0)
    if table == api.INVALID:
        raise api.failure()
    try:
        entry = api.PROCESSENTRY()
        entry.size = ctypes.sizeof(entry)
        rows = []
        more = api.first_process(table, entry)
        while more:
            rows.append((entry.pid, entry.parent, entry.name, started_of(entry.pid)))
            more = api.next_process(table, entry)
    finally:
        api.close_handle(table)
    began = {pid: started for pid, _, _, started in rows}
    return [
        Process(pid, parent if began.get(parent, started + 1) <= started else 0, 0, 0, started, name)
        for pid, parent, name, started in rows
    ]


def process(pid: int) -> Process | None:
    """The process with this number, or None. `started` is in 100 ns since 1601."""
    return next((item for item in processes() if item.pid == pid), None)


def has_mark(pid: int, mark: str) -> bool | None:
    """Whether the process is in the job of the agent whose directory `mark` (`NAME=directory`) names."""
    job = api.open_job(_JOB_QUERY, False, job_name(mark.partition("=")[2]))
    if not job:
        return False  # it has ended with its keeper
    handle = api.open_process(_QUERY_ALL, False, pid)
    inside = wintypes.BOOL()
    try:
        return bool(handle) and bool(api.is_in_job(handle, job, inside)) and bool(inside.value)
    finally:
        api.close_handle(job)
        if handle:
            api.close_handle(handle)


def send_signal(target: Process, number: int) -> bool:
    """End exactly `target`, whatever signal was meant to; False if it is gone or not ours."""
    handle = api.open_process(api.QUERY | api.TERMINATE, False, target.pid)
    if not handle:
        return False
    try:
        if api.started_and_used(handle)[0] != target.started:
            return False
        return bool(api.terminate_process(handle, 1))
    except OSError:
        return False
    finally:
        api.close_handle(handle)


_waiting: dict[int, object] = {}
_tickets = itertools.count(1)
_Ended = ctypes.WINFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ubyte)


def on_exit(pid: int, callback: Callable[[], None]) -> None:
    """Call `callback` once from the running loop when the process has ended."""
    loop = asyncio.get_running_loop()
    handle = api.open_process(api.SYNCHRONIZE, False, pid)
    if not handle:
        loop.call_soon(callback)
        return
    ticket, wait = next(_tickets), wintypes.HANDLE()

    def collect_ticket() -> None:
        api.unregister_wait(wait, api.INVALID)  # returns when `ended` has: not before may it be forgotten
        _waiting.pop(ticket, None)
        api.close_handle(handle)
        callback()

    def ended(_: int, __: int) -> None:  # in a thread of the system
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(collect_ticket)

    _waiting[ticket] = waiter = _Ended(ended)
    api.register_wait(wait, handle, waiter, None, api.INFINITE, api.ONLY_ONCE)


def collect(pid: int) -> bool:
    """True: who has ended here needs not be collected."""
    return True


def resident_bytes(pid: int) -> int:
    """Memory that the process has in use, pages shared with others included; 0 if it is gone."""
    handle = api.open_process(api.QUERY | api.VM_READ, False, pid) or api.open_process(api.QUERY, False, pid)
    if not handle:
        return 0
    memory = api.MEMORY_COUNTERS()
    memory.cb = ctypes.sizeof(memory)
    api.process_memory(handle, ctypes.byref(memory), memory.cb)
    api.close_handle(handle)
    return int(memory.others[0])


proportional_bytes = resident_bytes
"""Windows does not tell how pages are shared."""
