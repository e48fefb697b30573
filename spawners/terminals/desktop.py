"""The graphical session of this user, looked for anew at each opening."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.base import Desktop, Display

__all__ = ["find_desktop"]


async def find_desktop(environ: Mapping[str, str]) -> Desktop:
    """Return the session that `environ` tells of."""
    for name, kind in (("WAYLAND_DISPLAY", Display.WAYLAND), ("DISPLAY", Display.X11)):
        if environ.get(name):
            return Desktop(environ, kind, name)
    problem = "there is no graphical session here: neither DISPLAY nor WAYLAND_DISPLAY is set"
    return Desktop(environ, None, "", problem)
