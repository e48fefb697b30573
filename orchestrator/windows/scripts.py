"""The scripts that windows execute, in a folder whose path no terminal can misread."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time

from orchestrator.windows.dead_sockets import remove_dead_sockets
from relay.wire.home import Home
from spawners import _os
from spawners.terminals import script
from spawners.terminals.base import SAFE

__all__ = ["AGENT", "HANDLES", "TOKEN", "Scripts"]

TOKEN, AGENT, HANDLES = "MUSTER_WINDOW_TOKEN", "MUSTER_WINDOW_AGENT", "MUSTER_WINDOW_HANDLES"
PLACES = (
    *("HOME", "MUSTER_HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
    *("APPDATA", "LOCALAPPDATA", "USERPROFILE"),
)
"""What says where this home's files are. A window may get the environment of another program's session."""

STALE_S = 120.0
"""A terminal that has not executed its script by then never will."""
_WINDOW = re.compile(r"w-[0-9a-f]{12}")


class Scripts:
    """Each is readable by its owner alone and removes itself when it is executed."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def path(self, window_id: str) -> str:
        return os.path.join(self._folder, window_id + script.KINDS[_os.script_kind])

    def write(self, window_id: str, agent_id: str, token: str, handles: tuple[str, ...]) -> tuple[str, ...]:
        """Write a window's script and return the words that execute it. Raises `OSError`."""
        self._prepare()
        path = self.path(window_id)
        variables = {name: os.environ.get(name) for name in PLACES}
        variables |= {TOKEN: token, AGENT: agent_id, HANDLES: ",".join(handles)}
        argv = (sys.executable, "-I", "-m", "orchestrator.cli.main", "window", window_id)
        text = script.source(_os.script_kind, path, variables, argv)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write(text)
        return script.command_of(_os.script_kind, path)

    def remove(self, window_id: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path(window_id))

    def sweep(self) -> None:
        """Remove those that an earlier daemon left, and that no terminal has executed for a while, and the
        sockets that terminals have left beside them.

        What else is named after a window stays: its last word, and the socket of a terminal that runs.
        """
        remove_dead_sockets(self._folder)
        ending = script.KINDS[_os.script_kind]
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                path = os.path.join(self._folder, name)
                is_script = name.endswith(ending) and _WINDOW.fullmatch(name.removesuffix(ending))
                if is_script and time.time() - os.lstat(path).st_mtime > STALE_S:
                    os.unlink(path)

    @property
    def _folder(self) -> str:
        sockets = self._home.sockets
        return sockets if _os.script_kind == "py" or SAFE.fullmatch(sockets) else self._home.plain_runtime

    def _prepare(self) -> None:
        self._home.prepare_private(self._folder)
