"""What a window says last; while no daemon is there to hear it, in one small file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Container

from relay.wire.home import Home

__all__ = ["CLOSED", "DETACHED", "ENDED", "Farewells"]

CLOSED, DETACHED, ENDED = "closed", "detached", "ended"
"""Its terminal went away, somebody has detached by keys, its agent had ended."""

_ENDING = ".gone"
_WINDOW = re.compile(r"w-[0-9a-f]{12}")


class Farewells:
    def __init__(self, home: Home) -> None:
        self._folder = home.sockets

    def leave(self, window_id: str, why: str) -> None:
        """Leave a word for the next daemon. Raises `OSError`."""
        descriptor = os.open(self._path(window_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(why)

    def read(self, window_id: str) -> str:
        """Return the word that the window has left; empty: none."""
        if _WINDOW.fullmatch(window_id):
            with (
                contextlib.suppress(OSError, UnicodeDecodeError),
                open(self._path(window_id), encoding="utf-8") as file,
            ):
                return file.read(32)
        return ""

    def remove(self, window_id: str) -> None:
        if _WINDOW.fullmatch(window_id):
            with contextlib.suppress(OSError):
                os.unlink(self._path(window_id))

    def keep_only(self, window_ids: Container[str]) -> None:
        """Remove the words of all other windows: nobody is going to ask for them."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                window_id = name.removesuffix(_ENDING)
                if window_id != name and _WINDOW.fullmatch(window_id) and window_id not in window_ids:
                    os.unlink(self._path(window_id))

    def _path(self, window_id: str) -> str:
        return os.path.join(self._folder, window_id + _ENDING)
