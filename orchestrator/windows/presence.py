"""A lock that a window holds while it is there: it tells of the end of one whose process cannot be seen."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Container

from relay.wire.home import Home
from spawners import _os

__all__ = ["Presence"]

_ENDING = ".open"
_WINDOW = re.compile(r"w-[0-9a-f]{12}")


class Presence:
    """The kernel frees the lock of a killed one, also where a sandbox counts processes on its own."""

    def __init__(self, home: Home) -> None:
        self._folder = home.sockets

    def hold(self, window_id: str) -> int:
        """Take the lock and return the descriptor that carries it. Raises `OSError`."""
        if not _WINDOW.fullmatch(window_id):
            raise OSError(errno.EINVAL, "no window is called so", window_id)
        return _os.lock_new(self._path(window_id))

    def is_held(self, window_id: str) -> bool | None:
        """Whether the window holds its lock. None: nobody can tell, as where the folder was cleared."""
        if not _WINDOW.fullmatch(window_id) or not os.path.exists(self._path(window_id)):
            return None
        try:
            return _os.is_locked(self._path(window_id))
        except OSError:
            return None

    def remove(self, window_id: str) -> None:
        if _WINDOW.fullmatch(window_id):
            with contextlib.suppress(OSError):
                os.unlink(self._path(window_id))

    def keep_only(self, window_ids: Container[str]) -> None:
        """Remove what other windows have left that are gone."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                window_id = name.removesuffix(_ENDING)
                if window_id != name and window_id not in window_ids and self.is_held(window_id) is False:
                    self.remove(window_id)

    def _path(self, window_id: str) -> str:
        return os.path.join(self._folder, window_id + _ENDING)
