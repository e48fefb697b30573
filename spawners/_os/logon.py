# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""The desktop of Windows: that of the logon session in which this process lives. Never yet run on Windows."""

import ctypes
import os
from collections.abc import Mapping

from spawners.terminals.base import Desktop, Display

__all__ = ["find_desktop", "in_session"]

SERVICES = 0
"""The session of services and of logins over ssh; what opens a window there shows it to nobody."""
_NO_DESKTOP = (
    "this process {how}, in session 0, where nobody would see a window: log on at the screen or by Remote "
    "Desktop and start muster from a terminal there (`muster down`, then `muster up`), or by a task that "
    "runs only when you are logged on"
)


async def find_desktop(environ: Mapping[str, str]) -> Desktop:
    """Whether windows that this process opens are seen: what it starts lives in its own session, always."""
    session = ctypes.c_uint32()
    if not ctypes.windll.kernel32.ProcessIdToSessionId(os.getpid(), ctypes.byref(session)):
        return Desktop(environ, None, problem=f"Windows does not tell the session: {ctypes.WinError()}")
    return in_session(session.value, environ)


def in_session(number: int, environ: Mapping[str, str]) -> Desktop:
    """The desktop of a process of that session."""
    if number != SERVICES:
        return Desktop(environ, Display.DESKTOP, f"logon session {number}")
    how = "came in over ssh" if environ.get("SSH_CONNECTION") else "runs as a service does"
    return Desktop(environ, None, problem=_NO_DESKTOP.format(how=how))
