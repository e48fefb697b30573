# ruff: noqa: E402
import sys

assert sys.platform == "darwin"

"""The graphical session of macOS. Never yet run on a Mac."""

import asyncio
import os
import pwd
import subprocess
from collections.abc import Mapping

from spawners.terminals.base import Desktop, Display

__all__ = ["find_desktop"]

ASK_S = 5.0
CONSOLE = "/dev/console"
"""Belongs to whoever sits at the screen; to root at the login window."""
_LAUNCHCTL = "launchctl"


async def find_desktop(environ: Mapping[str, str]) -> Desktop:
    """Whether this process lives where windows are: in the domain that launchd calls Aqua.

    A LaunchAgent does, and all that is started from a window; an ssh login and a LaunchDaemon do not. The
    domain is inherited, so that of this process is asked for, and not what there may be beside it.
    """
    if os.getuid() == 0:
        return Desktop(environ, None, problem=_OF_ROOT)
    domain = await _domain(environ)
    if domain == "Aqua":
        return Desktop(environ, Display.DESKTOP, "launchctl: the domain is Aqua")
    if domain is None:
        return Desktop(environ, None, problem=_UNTOLD)
    where = "came in over ssh" if environ.get("SSH_CONNECTION") else f"runs in launchd's domain {domain}"
    return Desktop(environ, None, problem=f"this process {where}, where no window can be opened: {_advice()}")


async def _domain(environ: Mapping[str, str]) -> str | None:
    """What `launchctl managername` says: Aqua, Background, LoginWindow, System, …"""
    try:
        process = await asyncio.create_subprocess_exec(
            _LAUNCHCTL,
            "managername",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(ASK_S):
            said, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode("utf-8", "replace").strip() or None


_OF_ROOT = (
    "root has no desktop on macOS: run muster as the user whose windows are to be opened, not with sudo"
)
_UNTOLD = "launchctl does not tell whether this process may open windows: start muster from a terminal window"


def _advice() -> str:
    """What to do, which depends on who sits at the screen."""
    try:
        user = os.stat(CONSOLE).st_uid
        name = pwd.getpwuid(user).pw_name
    except (OSError, KeyError):
        user, name = 0, ""
    if user == os.getuid():
        return "you are logged in at the screen: start muster from a window there, or as a LaunchAgent"
    if user == 0 or not name:
        return "nobody is logged in at the screen; log in there, and start muster from a terminal window"
    return f"{name} is logged in at the screen; windows open only for that user"
