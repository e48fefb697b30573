"""Terminals without a display: tmux, screen and zellij keep a window until somebody attaches to it.

Inside a running one a window of that is opened, where its user looks. Else a server of our own keeps them,
beside what is executed, with no settings of anybody's. A process that was started inside of one outlives the
session, and its user leaves it: what nobody is attached to is no place for a window, and the try fails.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from spawners.terminals.base import Display, Opener, Terminal
from spawners.terminals.words import beside, hint

__all__ = ["Screen", "Tmux", "Zellij", "attaching"]

_WHERE_SOMEBODY_LOOKS = (
    'test -n "$("$0" -S "$1" list-clients -t "$2" 2>/dev/null)" && shift 2 && exec "$@"; '
    'echo "nobody is attached to session $2 of the tmux at $1" >&2; exit 1'
)

_WHERE_SCREEN_IS_SEEN = (
    'LC_ALL=C "$0" -ls "$1" | grep -q -i "attached)" && shift && exec "$@"; '
    'echo "nobody is attached to the screen $1" >&2; exit 1'
)

_SETTINGS = (
    *("start-server", ";", "set-option", "-s", "escape-time", "10", ";"),
    *("set-option", "-g", "default-terminal", "screen-256color", ";"),
)
"""By default tmux holds back Escape for half a second, and shows eight colours."""


class Tmux(Terminal):
    """`running` is the value of TMUX inside one: its socket, its server's pid, its session's number."""

    name = "tmux"
    programs = ("tmux",)
    display = Display.NONE
    tabs = True
    marks = ("TMUX",)
    handles = ("TMUX", "TMUX_PANE")

    def __init__(self, running: str = "") -> None:
        front, _, self._session = running.rpartition(",")
        self._socket = front.rpartition(",")[0]

    def inside(self, environ: Mapping[str, str]) -> Tmux:
        return Tmux(environ.get("TMUX", ""))

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """Several words are executed as they are; one alone would be given to a shell."""
        look = (*hint(title, "-n", "{}"), *hint(cwd, "-c", "{}"))
        what = command if len(command) > 1 else ("env", *command)
        if self._socket:
            session = f"${self._session}"
            new = (program, "-S", self._socket, "new-window", "-t", f"{session}:", *look, "--", *what)
            return ("/bin/sh", "-c", _WHERE_SOMEBODY_LOOKS, program, self._socket, session, *new)
        socket = beside(command, "w-tmux")
        server = ("-S", socket) if socket else ("-L", "muster")
        new = ("new-session", "-d", "-s", _session(command), "-x", "80", "-y", "24")
        return (program, *server, "-f", "/dev/null", *_SETTINGS, *new, *look, "--", *what)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """Shows the pane to who is attached to its server; fails if nobody is."""
        socket, pane = handles.get("TMUX", "").partition(",")[0], handles.get("TMUX_PANE", "")
        if not socket or not pane:
            return None
        steps = (
            "select-window",
            "-t",
            pane,
            ";",
            "select-pane",
            "-t",
            pane,
            ";",
            "switch-client",
            "-t",
            pane,
        )
        return Opener((program, "-S", socket, *steps))


class Screen(Terminal):
    """`running` is the value of STY inside one."""

    name = "screen"
    programs = ("screen",)
    display = Display.NONE
    tabs = True
    marks = ("STY",)
    handles = ("STY", "WINDOW")

    def __init__(self, running: str = "") -> None:
        self._session = running

    def inside(self, environ: Mapping[str, str]) -> Screen:
        return Screen(environ.get("STY", ""))

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        if self._session:
            new = (program, "-S", self._session, "-X", "screen", *hint(title, "-t", "{}"), *command)
            return ("/bin/sh", "-c", _WHERE_SCREEN_IS_SEEN, program, self._session, *new)
        look = hint(title, "-t", "{}")
        return (program, "-c", "/dev/null", "-d", "-m", "-S", _session(command), *look, *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        session, window = handles.get("STY", ""), handles.get("WINDOW", "")
        return Opener((program, "-S", session, "-X", "select", window)) if session and window else None


class Zellij(Terminal):
    """`running` is the name of the session one is inside. Never yet run: not in Debian."""

    name = "zellij"
    programs = ("zellij",)
    display = Display.NONE
    marks = ("ZELLIJ_SESSION_NAME",)
    handles = ("ZELLIJ_SESSION_NAME", "ZELLIJ_PANE_ID")

    def __init__(self, running: str = "") -> None:
        self._session = running

    def inside(self, environ: Mapping[str, str]) -> Zellij:
        return Zellij(environ.get("ZELLIJ_SESSION_NAME", ""))

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """It cannot make a session with a command in it: first the session is made, then a pane there."""
        session = self._session or _session(command)
        look = (*hint(title, "--name", "{}"), *hint(cwd, "--cwd", "{}"))
        run = (program, "--session", session, "run", "--close-on-exit", *look, "--", *command)
        if self._session:
            return run
        script = '"$0" attach --create-background "$1" && shift && exec "$@"'
        return ("/bin/sh", "-c", script, program, session, *run)


def attaching(handles: Mapping[str, str]) -> str:
    """The command, as a shell reads it, that shows a multiplexer's window with these handles to who sits
    elsewhere; empty if they are of another terminal. Of an environment: the command to get where it is."""
    front, _, session = handles.get("TMUX", "").rpartition(",")
    if front:
        return shlex.join(("tmux", "-S", front.rpartition(",")[0], "attach", "-t", f"${session}"))
    if handles.get("STY"):
        return shlex.join(("screen", "-r", handles["STY"]))
    named = handles.get("ZELLIJ_SESSION_NAME", "")
    return shlex.join(("zellij", "attach", named)) if named else ""


def _session(command: tuple[str, ...]) -> str:
    """A name for the session: that of what is executed, without what separates names in a multiplexer."""
    return os.path.basename(command[-1]).replace(".", "-").replace(":", "-")
