"""Sockets that terminals have left beside the scripts of their windows: who is killed removes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat

__all__ = ["remove_dead_sockets"]

_OF_A_TERMINAL = re.compile(r"w-[0-9a-f]{12}\.kitty|w-kitty|w-tmux")
"""What terminals call theirs (`spawners.terminals.words.beside`)."""


def remove_dead_sockets(folder: str) -> None:
    """Remove those that nobody listens on. Nothing may be opening a window here meanwhile: a terminal that
    has just begun does not listen yet."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if _OF_A_TERMINAL.fullmatch(name) and _is_dead(path):
                    os.unlink(path)


def _is_dead(path: str) -> bool:
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(getattr(socket, "AF_UNIX")) as line:  # noqa: B009 # Windows has none, and no such file
        line.setblocking(False)
        try:
            line.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # it is too busy to answer at once
            return False
    return False
