"""Folders that this host's owner trusts: agents' CLIs started in them are told so, and do not ask.

A trusted folder's own configuration may run programs, so only the owner at the host can give trust: no
call of any API does, and nothing here trusts a folder by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from filelock import FileLock

from relay.wire.home import Home

__all__ = ["Trust", "is_inside"]

ANYWHERE = "*"


class Trust:
    """The list in the host's state, with what `policy.trust` adds. Every call reads it anew."""

    def __init__(self, home: Home, configured: Iterable[str] = ()) -> None:
        self._home = home
        self._path = os.path.join(home.state, "trusted.json")
        self._configured = tuple(configured)

    def folders(self) -> list[str]:
        """The real paths of those in the host's state, in the order they were added."""
        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return []  # what cannot be read trusts nothing
        return [folder for folder in found if isinstance(folder, str)] if isinstance(found, list) else []

    def holds(self, cwd: str) -> bool:
        """Whether `cwd` (a real path) is one of them, or lies in one."""
        given = (os.path.realpath(os.path.expanduser(one)) for one in self._configured if one != ANYWHERE)
        return ANYWHERE in self._configured or any(
            is_inside(cwd, folder) for folder in (*self.folders(), *given)
        )

    def add(self, folder: str) -> str:
        """Trust `folder` and return its real path. Raises `OSError` if it is no folder."""
        path = os.path.realpath(os.path.expanduser(folder))
        if not os.path.isdir(path):
            raise NotADirectoryError(20, "there is no such folder", path)
        self._change(add=path)
        return path

    def remove(self, folder: str) -> str | None:
        """Trust `folder` no longer and return its path; None if it was not on the list. It may be gone."""
        path = os.path.realpath(os.path.expanduser(folder))
        if path not in self.folders():
            return None
        self._change(remove=path)
        return path

    def _change(self, *, add: str | None = None, remove: str | None = None) -> None:
        os.makedirs(self._home.state, mode=0o700, exist_ok=True)
        with FileLock(f"{self._path}.lock"):
            kept = [one for one in self.folders() if one not in (add, remove)]
            self._home.write_private(
                self._path, json.dumps([*kept, *([add] if add else [])], indent=2) + "\n"
            )


def is_inside(path: str, root: str) -> bool:
    """Whether the real path `path` is the real path `root` or below it."""
    one, other = os.path.normcase(path), os.path.normcase(root)
    try:
        return os.path.commonpath((one, other)) == other
    except ValueError:  # on two drives
        return False
