"""What windows leave in the folder of the sockets when nobody was there to clear it away."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import time
from collections.abc import Container, Iterable

from orchestrator.windows.farewell import SUFFIX

__all__ = ["STALE_S", "sweep"]

STALE_S = 120.0
"""A terminal that has not executed its script by then never will."""
_OWN = re.compile(r"(w-[0-9a-f]{12})(\.\w+)?|w-(kitty|tmux)")
"""Scripts, last words, and the sockets that terminals listen on beside them (`terminals.words.beside`)."""


def sweep(folders: Iterable[str], known: Container[str]) -> None:
    """Remove scripts that no terminal has executed, the words of windows that nobody asks for any more, and
    sockets that nobody listens on. `known` are the ids of windows whose last word is still wanted."""
    for folder in set(folders):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                found = _OWN.fullmatch(name)
                kept = found is None or (found[2] == SUFFIX and found[1] in known)
                with contextlib.suppress(OSError):
                    if not kept and _is_over(os.path.join(folder, name)):
                        os.unlink(os.path.join(folder, name))


def _is_over(path: str) -> bool:
    facts = os.lstat(path)
    if time.time() - facts.st_mtime < STALE_S:
        return False
    return not stat.S_ISSOCK(facts.st_mode) or not _is_listened_on(path)


def _is_listened_on(path: str) -> bool:
    with socket.socket(getattr(socket, "AF_UNIX")) as line:  # noqa: B009 # Windows has none, and no such file
        line.setblocking(False)
        try:
            line.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # one that is too busy to answer at once
            return True
    return True
