"""Asking one of our own servers to end where no signal does that: through an event named after its process.

Where there are signals (POSIX) nothing here does anything: SIGTERM is the way there.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["ask_to_end", "end", "when_asked_to_end"]

_supported = hasattr(signal, "CTRL_BREAK_EVENT")
ctypes: Any = importlib.import_module("ctypes") if _supported else None  # every command would wait for it
_MODIFY = 0x0002
_FOREVER = 0xFFFFFFFF
_ALREADY_EXISTS = 183


def ask_to_end(pid: int) -> bool:
    """Return whether `pid` is a server of ours, and has been asked to end."""
    if not _supported:
        return False
    kernel = _kernel()
    event = kernel.OpenEventW(_MODIFY, False, _name(pid))
    if not event:
        return False
    asked = bool(kernel.SetEvent(event))
    kernel.CloseHandle(event)
    return asked


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a child that is a server of ours to end; by force where it cannot be asked."""
    if not ask_to_end(process.pid):
        process.terminate()


def when_asked_to_end(tell: Callable[[], object]) -> None:
    """Call `tell` once, in another thread, when somebody asks this process to end."""
    if not _supported:
        return
    kernel = _kernel()
    event = kernel.CreateEventW(None, True, False, _name(os.getpid()))
    if event and ctypes.get_last_error() == _ALREADY_EXISTS:
        kernel.CloseHandle(event)
        event = None
    if not event:
        return  # somebody else has taken the name, and could ask: then it can only be ended by force

    def wait() -> None:
        kernel.WaitForSingleObject(event, _FOREVER)
        tell()

    threading.Thread(target=wait, daemon=True, name="ending").start()


def _name(pid: int) -> str:
    """Of all sessions of the machine, so that one who has come by ssh can ask too."""
    return f"Global\\muster-end-{pid}"


@functools.cache
def _kernel() -> Any:
    library = ctypes.WinDLL("kernel32", use_last_error=True)
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    library.OpenEventW.restype = library.CreateEventW.restype = pointer
    library.OpenEventW.argtypes = [number, ctypes.c_int, ctypes.c_wchar_p]
    library.CreateEventW.argtypes = [pointer, ctypes.c_int, ctypes.c_int, ctypes.c_wchar_p]
    library.SetEvent.argtypes = library.CloseHandle.argtypes = [pointer]
    library.WaitForSingleObject.argtypes = [pointer, number]
    return library
