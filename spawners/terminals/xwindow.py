"""The number of a window on an X server, for terminals that do not tell it to what runs in them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Mapping

from spawners.terminals.words import WINDOW_ID, is_window_id

__all__ = ["TERMINAL_PID", "with_window_id"]

TERMINAL_PID = "TERMINAL_PID"
"""A handle beside those of the terminals: the process that was started to open the window, if it went on."""
ASK_S = 2.0
"""The window manager's list is there within milliseconds."""


async def with_window_id(handles: Mapping[str, str], env: Mapping[str, str]) -> Mapping[str, str]:
    """The handles with the number of the only window of the terminal's process, if they name none."""
    program = shutil.which("wmctrl", path=env.get("PATH", "")) if env.get("DISPLAY") else None
    pid = handles.get(TERMINAL_PID, "")
    if not pid or program is None or is_window_id(handles.get(WINDOW_ID, "")):
        return handles
    windows = await asyncio.to_thread(_windows, program, pid.encode(), dict(env))
    return {**handles, WINDOW_ID: str(windows[0])} if len(windows) == 1 else handles


def _windows(program: str, pid: bytes, env: dict[str, str]) -> list[int]:
    """The numbers of the windows of a process; none where that cannot be told."""
    try:
        done = subprocess.run(
            [program, "-l", "-p"], env=env, timeout=ASK_S, check=False,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = (line.split() for line in done.stdout.splitlines())
    return [int(words[0], 16) for words in lines if len(words) > 2 and words[2] == pid]
