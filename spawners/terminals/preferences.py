"""The terminals that a user has put into xdg-terminals.list, as the Default Terminal proposal has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

__all__ = ["preferred_entries"]

_FILE = "xdg-terminals.list"


def preferred_entries(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The desktop entries of these lists, most preferred first, each with the file it is in.

    A list of one desktop (`gnome-xdg-terminals.list`) comes before the one for all, the user's folders
    before the system's. An entry with a minus is never taken, whatever a later file says.
    """
    found: dict[str, str] = {}
    for path in _files(environ):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file]
        except OSError:
            continue
        for line in lines:
            if not line or line.startswith(("#", "/")):  # a slash begins a directive
                continue
            excluded = line.startswith("-")
            entry = line.lstrip("-+").partition(":")[0].strip()  # behind a colon is one of its actions
            found.setdefault(entry, "" if excluded else path)
    return [(entry, path) for entry, path in found.items() if path]


def _files(environ: Mapping[str, str]) -> Iterator[str]:
    home = environ.get("HOME") or os.path.expanduser("~")
    folders = [environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")]
    folders += (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    folders += [environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")]
    shared = (environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    folders += [os.path.join(folder, "xdg-terminal-exec") for folder in shared]
    desktops = [name.lower() for name in environ.get("XDG_CURRENT_DESKTOP", "").split(":") if name]
    for folder in folders:
        if os.path.isabs(folder):
            yield from (os.path.join(folder, f"{name}-{_FILE}") for name in desktops)
            yield os.path.join(folder, _FILE)
