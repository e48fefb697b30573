"""What a window says last; while no daemon is there to hear it, in one small file."""

from __future__ import annotations

import contextlib
import os
import re

from relay.wire.home import Home

__all__ = ["CLOSED", "DETACHED", "ENDED", "SUFFIX", "Farewells"]

CLOSED, DETACHED, ENDED = "closed", "detached", "ended"
"""Its terminal went away, somebody has detached by keys, its agent had ended."""

SUFFIX = ".gone"
_WINDOW = re.compile(r"w-[0-9a-f]{12}")


class Farewells:
    def __init__(self, home: Home) -> None:
        self._folder = home.sockets

    def leave(self, window_id: str, why: str) -> None:
        """Leave a word for the next daemon. Raises `OSError`."""
        descriptor = os.open(self._path(window_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(why)

    def take(self, window_id: str) -> str | None:
        """Return the word that the window has left, and remove it."""
        if not _WINDOW.fullmatch(window_id):
            return None
        path = self._path(window_id)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            with open(path, encoding="utf-8") as file:
                why = file.read(32)
            os.unlink(path)
            return why
        return None

    def _path(self, window_id: str) -> str:
        return os.path.join(self._folder, window_id + SUFFIX)
