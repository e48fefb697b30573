"""The graphical session, looked for anew whenever a window is to be opened: sessions come and go."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace

from spawners import _os
from spawners.terminals.base import Desktop
from spawners.terminals.catalog import window_variables

__all__ = ["find_desktop"]

_OF_A_SERVICE = (
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
)
_NOT_HANDED_ON = (*_OF_A_SERVICE, "WATCHDOG_PID", "WATCHDOG_USEC", "SYSTEMD_EXEC_PID", "TERM", "SHLVL", "_")


async def find_desktop(environ: Mapping[str, str]) -> Desktop:
    """The session that a process with this environment opens windows in, each display of it tried.

    What a launcher is given holds nothing that is only about this process: nothing of the window or the
    service that it runs in, and none of its tokens. A terminal hands its environment on to all its windows,
    those that its user opens later among them.
    """
    desktop: Desktop = await importlib.import_module(_os.where_desktop).find_desktop(environ)
    left_out = {*window_variables(), *_NOT_HANDED_ON}
    env = {
        name: value
        for name, value in desktop.env.items()
        if name not in left_out and not name.startswith("MUSTER_")
    }
    return replace(desktop, env=env)
