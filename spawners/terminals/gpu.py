"""Terminals that draw with the graphics card, on Wayland as well, and bring their own remote control."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.base import Desktop, Display, Opener
from spawners.terminals.words import WINDOW_ID, XTerminal, beside, hint

__all__ = ["Alacritty", "Foot", "Ghostty", "Kitty", "Wezterm"]


class Kitty(XTerminal):
    """A process of its own, with a socket for its remote control beside what runs in the window.

    Whoever reaches that socket can type into the window, so it lies in a folder that only its user may
    enter. Windows that were asked for as tabs share one process. `--title` would fix the title for ever.
    """

    name = "kitty"
    programs = ("kitty",)
    tabs = True
    marks = ("KITTY_PID", "KITTY_WINDOW_ID", "TERM=xterm-kitty")
    handles = (WINDOW_ID, "KITTY_WINDOW_ID", "KITTY_PID", "KITTY_LISTEN_ON")
    classes = ("kitty",)
    entries = ("kitty.desktop",)

    def __init__(self, listens_on: str = "") -> None:
        self._listens_on = listens_on

    def inside(self, environ: Mapping[str, str]) -> Kitty:
        """A tab of the window that one runs in needs that kitty's own socket, if it has one. It may be gone
        since, or let nobody in: then it is a window."""
        return Kitty(environ.get("KITTY_LISTEN_ON", ""))

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """Without the confirmation that kitty asks for when a window with a program in it is closed."""
        where = (*hint(cwd, "-d", "{}"), *command)
        window = (*_kitty(program, _unix(beside(command, "{}.kitty"))), *where)
        if tab and self._listens_on:
            return _either(_tab(program, command, cwd, self._listens_on), window)
        shared = beside(command, "w-kitty")
        if tab and shared:
            start = (*_kitty(program, _unix(shared)), *where)
            return _either(_tab(program, command, cwd, _unix(shared)), start, remove=shared)
        return window

    def focuses(self, desktop: Desktop, path: str) -> bool:
        """By its own remote control."""
        return True

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        address, window = handles.get("KITTY_LISTEN_ON", ""), handles.get("KITTY_WINDOW_ID", "")
        if address and window.isdecimal():
            return Opener((program, "@", "--to", address, "focus-window", "--match", f"id:{window}"))
        return super().focus(program, handles)


def _tab(program: str, command: tuple[str, ...], cwd: str, address: str) -> tuple[str, ...]:
    return (program, "@", "--to", address, "launch", "--type=tab", *hint(cwd, "--cwd={}"), *command)


def _unix(path: str) -> str:
    return f"unix:{path}" if path else ""


def _kitty(program: str, address: str) -> tuple[str, ...]:
    remote = ("-o", "allow_remote_control=socket-only", "--listen-on", address) if address else ()
    return (program, "-o", "confirm_os_window_close=0", *remote)


def _either(first: tuple[str, ...], second: tuple[str, ...], *, remove: str = "") -> tuple[str, ...]:
    """A shell that runs `first`; if that fails it executes `second`, without the file `remove` in its way."""
    words = " ".join(f'"${{{number}}}"' for number in range(1, len(first) + 1))
    clear = 'rm -f -- "$0"; ' if remove else ""
    script = f'{words} >/dev/null 2>&1 && exit; {clear}shift {len(first)}; exec "$@"'
    return ("/bin/sh", "-c", script, remove or "sh", *first, *second)


class Alacritty(XTerminal):
    """A process of its own: windows made by `alacritty msg` have the environment of the first. No tabs."""

    name = "alacritty"
    programs = ("alacritty",)
    marks = ("ALACRITTY_WINDOW_ID", "ALACRITTY_SOCKET")
    handles = (WINDOW_ID, "ALACRITTY_WINDOW_ID", "ALACRITTY_SOCKET")
    classes = ("alacritty",)
    entries = ("Alacritty.desktop",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """No title: one that is given here is never changed again."""
        return (program, *hint(cwd, "--working-directory", "{}"), "-e", *command)


class Wezterm(XTerminal):
    name = "wezterm"
    programs = ("wezterm",)
    tabs = True
    marks = ("WEZTERM_PANE", "WEZTERM_EXECUTABLE")
    handles = (WINDOW_ID, "WEZTERM_PANE", "WEZTERM_UNIX_SOCKET")
    classes = ("org.wezfurlong.wezterm",)
    entries = ("org.wezfurlong.wezterm.desktop",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """`--always-new-process`: else a window of a running one is made, with that one's environment."""
        where = hint(cwd, "--cwd", "{}")
        window = (program, "start", "--always-new-process", *where, "--", *command)
        if tab:
            return _either((program, "cli", "--no-auto-start", "spawn", *where, "--", *command), window)
        return window

    def focuses(self, desktop: Desktop, path: str) -> bool:
        """By its own remote control."""
        return True

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        pane, socket = handles.get("WEZTERM_PANE", ""), handles.get("WEZTERM_UNIX_SOCKET", "")
        if not pane.isdecimal() or not socket:
            return super().focus(program, handles)
        which = (program, "cli", "--no-auto-start", "activate-pane", "--pane-id", pane)
        return Opener(("/usr/bin/env", f"WEZTERM_UNIX_SOCKET={socket}", *which))


class Foot(XTerminal):
    """Ends with the exit code of what ran in it, or with 230 if it could not open a window."""

    name = "foot"
    programs = ("foot",)
    display = Display.WAYLAND
    marks = ("TERM=foot", "TERM=foot-extra")
    classes = ("foot",)
    entries = ("foot.desktop",)
    desktops = ("sway",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(title, "--title={}"), *hint(cwd, "--working-directory={}"), *command)


class Ghostty(XTerminal):
    """`-e` executes without a shell. What else it implies is said as well: what ghostty does by default
    depends on whether it believes that it was started from a command line."""

    name = "ghostty"
    programs = ("ghostty",)
    marks = ("GHOSTTY_RESOURCES_DIR", "GHOSTTY_BIN_DIR", "TERM_PROGRAM=ghostty")
    classes = ("com.mitchellh.ghostty",)
    entries = ("com.mitchellh.ghostty.desktop",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        own = ("--gtk-single-instance=false", "--quit-after-last-window-closed=true")
        quiet = ("--confirm-close-surface=false", "--wait-after-command=false")
        return (program, *own, *quiet, *hint(cwd, "--working-directory={}"), "-e", *command)
