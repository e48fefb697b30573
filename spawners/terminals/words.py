"""Words that several terminals share: hints only where they are safe, and focus through the X server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import ClassVar

from spawners.terminals.base import Desktop, Display, Opener, Terminal, is_safe

__all__ = ["WINDOW_ID", "XTerminal", "beside", "hint", "is_window_id"]

WINDOW_ID = "WINDOWID"
"""The X11 number of the window, decimal, as xterm has given it to its programs since the beginning."""
RAISER = "wmctrl"
MAX_SOCKET = 100
"""Bytes of a socket's path; the kernel takes 108, macOS 104."""


def hint(value: str, *words: str) -> tuple[str, ...]:
    """`words` with `value` in the place of each `{}`; nothing if it is empty or could be mistaken."""
    return tuple(word.replace("{}", value) for word in words) if is_safe(value) else ()


def beside(command: tuple[str, ...], name: str) -> str:
    """A path for a socket beside what is executed in the window, in a folder that only its user may enter.

    `{}` in `name` is the name of what is executed. Empty if there is no such folder, or the path is too long.
    """
    folder, own = os.path.split(command[-1])
    path = os.path.join(folder, name.replace("{}", own))
    return path if os.path.isabs(path) and is_safe(path) and len(path) <= MAX_SOCKET else ""


class XTerminal(Terminal):
    """A terminal whose windows can be raised by their number where they are on an X server.

    `numbered`: that can be known, because its programs are told it or because a process has one window.
    """

    handles: ClassVar[tuple[str, ...]] = (WINDOW_ID,)
    numbered: ClassVar[bool] = True

    def focuses(self, desktop: Desktop, path: str) -> bool:
        """Where there is Wayland too, it draws on that unless it cannot."""
        on_x11 = desktop.kind is Display.X11 or (self.display is Display.X11 and desktop.shows(Display.X11))
        possible = self.numbered and on_x11 and desktop.shows(self.display)
        return possible and shutil.which(RAISER, path=path) is not None

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """Through the window manager; only X11 lets one program do that to another's."""
        window = handles.get(WINDOW_ID, "")
        return Opener((RAISER, "-i", "-a", window)) if is_window_id(window) else None


def is_window_id(text: str) -> bool:
    """Whether it can be one: Qt programs say 0, and winit ones an address when they draw on Wayland."""
    return text.isdecimal() and 0 < int(text) < 1 << 32
