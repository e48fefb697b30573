# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The functions and structures of Windows that are used here, with their types; nothing is decided."""

import ctypes
from ctypes import POINTER, Structure, c_size_t, c_void_p, sizeof
from ctypes.wintypes import BOOL, DWORD, HANDLE, LARGE_INTEGER, LPCWSTR, LPWSTR, SHORT, ULARGE_INTEGER, WORD
from typing import Any

INVALID = c_void_p(-1).value
INFINITE = 0xFFFFFFFF
ERROR_MORE_DATA = 234
PROCESS_IDS = 3  # JobObjectBasicProcessIdList: two numbers, then the list
SYNCHRONIZE, TERMINATE, VM_READ, QUERY = 0x100000, 0x1, 0x10, 0x1000


class COORD(Structure):
    _fields_ = (("x", SHORT), ("y", SHORT))


class STARTUPINFO(Structure):
    _fields_ = (
        ("cb", DWORD), ("reserved", LPWSTR), ("desktop", LPWSTR), ("title", LPWSTR),
        *((name, DWORD) for name in ("x", "y", "x_size", "y_size", "x_chars", "y_chars", "fill", "flags")),
        ("show", WORD), ("reserved2_size", WORD), ("reserved2", c_void_p),
        ("input", HANDLE), ("output", HANDLE), ("error", HANDLE),
        ("attributes", c_void_p),
    )  # fmt: skip


class PROCESS_INFORMATION(Structure):
    _fields_ = (("process", HANDLE), ("thread", HANDLE), ("pid", DWORD), ("tid", DWORD))


class EXTENDED_LIMITS(Structure):
    _fields_ = (
        ("process_time", LARGE_INTEGER), ("job_time", LARGE_INTEGER), ("flags", DWORD),
        ("min_set", c_size_t), ("max_set", c_size_t), ("active", DWORD), ("affinity", c_size_t),
        ("priority", DWORD), ("scheduling", DWORD), ("io", ctypes.c_ulonglong * 6),
        ("process_memory", c_size_t), ("job_memory", c_size_t),
        ("peak_process", c_size_t), ("peak_job", c_size_t),
    )  # fmt: skip


class ACCOUNTING(Structure):
    _fields_ = (
        ("user", LARGE_INTEGER), ("kernel", LARGE_INTEGER), ("period_user", LARGE_INTEGER),
        ("period_kernel", LARGE_INTEGER), ("faults", DWORD), ("total", DWORD), ("active", DWORD),
        ("terminated", DWORD),
    )  # fmt: skip


class CPU_RATE(Structure):
    _fields_ = (("flags", DWORD), ("rate", DWORD))


class COMPLETION_PORT(Structure):
    _fields_ = (("key", c_void_p), ("port", HANDLE))


class MEMORY_COUNTERS(Structure):
    _fields_ = (("cb", DWORD), ("faults", DWORD), ("peak", c_size_t), ("others", c_size_t * 7))


class PROCESSENTRY(Structure):
    _fields_ = (
        ("size", DWORD), ("usage", DWORD), ("pid", DWORD), ("heap", c_size_t), ("module", DWORD),
        ("threads", DWORD), ("parent", DWORD), ("priority", ctypes.c_long), ("flags", DWORD),
        ("name", ctypes.c_wchar * 260),
    )  # fmt: skip


class SECURITY_ATTRIBUTES(Structure):
    _fields_ = (("size", DWORD), ("descriptor", c_void_p), ("inherit", BOOL))


_KERNEL = ctypes.WinDLL("kernel32", use_last_error=True)
_ADVAPI = ctypes.WinDLL("advapi32", use_last_error=True)


def _function(name: str, result: Any, *arguments: Any, library: Any = _KERNEL) -> Any:
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


def failure() -> OSError:
    """What the last call says why it failed."""
    return ctypes.WinError(ctypes.get_last_error())


close_handle = _function("CloseHandle", BOOL, HANDLE)
create_file = _function("CreateFileW", HANDLE, LPCWSTR, DWORD, DWORD, c_void_p, DWORD, DWORD, HANDLE)
create_pipe = _function("CreatePipe", BOOL, POINTER(HANDLE), POINTER(HANDLE), c_void_p, DWORD)
create_process = _function(
    "CreateProcessW", BOOL, LPCWSTR, LPWSTR, c_void_p, c_void_p, BOOL, DWORD, c_void_p, LPCWSTR, c_void_p,
    POINTER(PROCESS_INFORMATION),
)  # fmt: skip
init_attributes = _function(
    "InitializeProcThreadAttributeList", BOOL, c_void_p, DWORD, DWORD, POINTER(c_size_t)
)
update_attribute = _function(
    "UpdateProcThreadAttribute", BOOL, c_void_p, DWORD, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
delete_attributes = _function("DeleteProcThreadAttributeList", None, c_void_p)
create_job = _function("CreateJobObjectW", HANDLE, c_void_p, LPCWSTR)
open_job = _function("OpenJobObjectW", HANDLE, DWORD, BOOL, LPCWSTR)
set_job = _function("SetInformationJobObject", BOOL, HANDLE, ctypes.c_int, c_void_p, DWORD)
query_job = _function("QueryInformationJobObject", BOOL, HANDLE, ctypes.c_int, c_void_p, DWORD, c_void_p)
terminate_job = _function("TerminateJobObject", BOOL, HANDLE, DWORD)
is_in_job = _function("IsProcessInJob", BOOL, HANDLE, HANDLE, POINTER(BOOL))
open_process = _function("OpenProcess", HANDLE, DWORD, BOOL, DWORD)
process_times = _function("GetProcessTimes", BOOL, HANDLE, *[POINTER(ULARGE_INTEGER)] * 4)
process_name = _function("QueryFullProcessImageNameW", BOOL, HANDLE, DWORD, LPWSTR, POINTER(DWORD))
process_memory = _function("K32GetProcessMemoryInfo", BOOL, HANDLE, c_void_p, DWORD)
exit_code = _function("GetExitCodeProcess", BOOL, HANDLE, POINTER(DWORD))
wait_for = _function("WaitForSingleObject", DWORD, HANDLE, DWORD)
terminate_process = _function("TerminateProcess", BOOL, HANDLE, DWORD)
console_event = _function("GenerateConsoleCtrlEvent", BOOL, DWORD, DWORD)
HANDLER = ctypes.WINFUNCTYPE(BOOL, DWORD)
set_console_handler = _function("SetConsoleCtrlHandler", BOOL, c_void_p, BOOL)
create_console = _function(
    "CreatePseudoConsole", ctypes.c_long, COORD, HANDLE, HANDLE, DWORD, POINTER(HANDLE)
)
resize_console = _function("ResizePseudoConsole", ctypes.c_long, HANDLE, COORD)
close_console = _function("ClosePseudoConsole", None, HANDLE)
create_port = _function("CreateIoCompletionPort", HANDLE, HANDLE, HANDLE, c_size_t, DWORD)
next_message = _function(
    "GetQueuedCompletionStatus", BOOL, HANDLE, POINTER(DWORD), POINTER(c_size_t), POINTER(c_void_p), DWORD
)
ONLY_ONCE = 0x8
register_wait = _function(
    "RegisterWaitForSingleObject", BOOL, POINTER(HANDLE), HANDLE, c_void_p, c_void_p, DWORD, DWORD
)
unregister_wait = _function("UnregisterWaitEx", BOOL, HANDLE, HANDLE)
snapshot = _function("CreateToolhelp32Snapshot", HANDLE, DWORD, DWORD)
first_process = _function("Process32FirstW", BOOL, HANDLE, POINTER(PROCESSENTRY))
next_process = _function("Process32NextW", BOOL, HANDLE, POINTER(PROCESSENTRY))
local_free = _function("LocalFree", c_void_p, c_void_p)
descriptor_of = _function(
    "ConvertStringSecurityDescriptorToSecurityDescriptorW", BOOL, LPCWSTR, DWORD, POINTER(c_void_p), c_void_p,
    library=_ADVAPI,
)  # fmt: skip
create_key = _function(
    "RegCreateKeyExW", ctypes.c_long, HANDLE, LPCWSTR, DWORD, LPWSTR, DWORD, DWORD, c_void_p, POINTER(HANDLE),
    c_void_p, library=_ADVAPI,
)  # fmt: skip


def started_and_used(process: int) -> tuple[int, int]:
    """When it began, and the processor time it has used, both in units of 100 ns. Raises OSError."""
    created, ended, kernel, user = (ULARGE_INTEGER() for _ in range(4))
    if not process_times(process, created, ended, kernel, user):
        raise failure()
    return created.value, kernel.value + user.value


def structure(kind: Any, job: int, number: int) -> Any:
    """What `QueryInformationJobObject` tells of this class. Raises OSError."""
    found = kind()
    if not query_job(job, number, ctypes.byref(found), sizeof(found), None):
        raise failure()
    return found


def process_ids(job: int, room: int = 1024) -> list[int]:
    """Of all processes in the job, however many; `room` is for how many to begin with. Raises OSError."""
    while True:
        found = ctypes.create_string_buffer(2 * sizeof(DWORD) + room * sizeof(c_size_t))
        told = query_job(job, PROCESS_IDS, found, len(found), None)
        if not told and ctypes.get_last_error() != ERROR_MORE_DATA:
            raise failure()
        assigned, listed = (DWORD * 2).from_buffer(found)
        if told:
            return list((c_size_t * listed).from_buffer(found, 2 * sizeof(DWORD)))
        room = 2 * max(room, assigned)
