"""The terminals of macOS, in the order in which they are tried when nothing else tells. None has been run.

A file whose name ends in `.command` is handed to the application: that opens a window without the permission
that every other way asks for. The file must be executable and free of the attribute com.apple.quarantine,
which what Muster writes does not have. Newer Ghostty asks before it executes one. Those with a program of
their own are given the words instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from spawners.terminals.applescript import explained, osascript
from spawners.terminals.applications import find_application
from spawners.terminals.base import Display, Opener, Terminal
from spawners.terminals.macos_scripts import FOCUS_ITERM, FOCUS_TERMINAL, TAB_GHOSTTY, TAB_ITERM, WARP
from spawners.terminals.multiplexers import Screen, Tmux, Zellij
from spawners.terminals.words import beside, hint

__all__ = ["TERMINALS", "TTY"]

TTY = "TTY"
"""Among the handles of a window: its device. No variable tells it; whoever takes the report adds it."""


class Application(Terminal):
    """One that opens files. `application` is its name in the Finder, `bundle` its identifier."""

    display = Display.DESKTOP
    application: ClassVar[str]
    bundle: ClassVar[str]
    inner: ClassVar[str] = ""

    def installed(self, path: str) -> str | None:
        """The application; with `inner`, the program of this name in it, else one on PATH."""
        found = find_application(self.bundle, self.application, path)
        if not self.inner:
            return found
        program = os.path.join(found, "Contents", "MacOS", self.inner) if found else ""
        return program if os.access(program, os.X_OK) else super().installed(path)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """The application is named by its path, so that it is the one that was found."""
        return ("open", "-a", program, command[-1])

    def explain(self, said: str) -> str:
        return explained(said, self.application)


class Default(Application):
    """What the user has made the application for such files: Terminal, if they never chose. iTerm2 and
    Ghostty have a menu entry for that."""

    name = "default"
    application, bundle, programs = "the terminal", "", ("open",)
    handles = ("TERM_PROGRAM", "ITERM_SESSION_ID")

    def installed(self, path: str) -> str | None:
        return Terminal.installed(self, path)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, command[-1])

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        owner: dict[str, Terminal] = {"Apple_Terminal": AppleTerminal(), "iTerm.app": Iterm2()}
        found = owner.get(handles.get("TERM_PROGRAM", ""))
        return found.focus("", handles) if found else None


class AppleTerminal(Application):
    """Types the path of the file, and `exit`, into a login shell of the user. Has no tabs for others: only
    keys that are pressed for the user make one, which is a permission of its own."""

    name = "terminal"
    application, bundle, programs = "Terminal", "com.apple.Terminal", ("Terminal.app",)
    marks = ("TERM_PROGRAM=Apple_Terminal",)
    handles = ("TERM_PROGRAM", "TERM_SESSION_ID")
    stays = True

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        tty = handles.get(TTY, "")
        return osascript(FOCUS_TERMINAL, tty) if tty else None


class Iterm2(Application):
    name = "iterm2"
    application, bundle, programs = "iTerm", "com.googlecode.iterm2", ("iTerm.app",)
    tabs = True
    marks = ("ITERM_SESSION_ID", "TERM_PROGRAM=iTerm.app")
    handles = ("TERM_PROGRAM", "ITERM_SESSION_ID")

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        """iTerm splits the command at its spaces and executes it without a shell."""
        if tab:
            return osascript(TAB_ITERM, " ".join(command))
        return super().opener(program, command, title, cwd)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """The variable is `w0t1p0:` and the unique ID of the session."""
        session = handles.get("ITERM_SESSION_ID", "").rpartition(":")[2]
        return osascript(FOCUS_ITERM, session) if session else None


class GhosttyApplication(Application):
    """Its program opens no windows on macOS; a tab needs 1.3. No variable names the window."""

    name = "ghostty"
    application, bundle, programs = "Ghostty", "com.mitchellh.ghostty", ("Ghostty.app",)
    tabs = True
    marks = ("GHOSTTY_RESOURCES_DIR", "GHOSTTY_BIN_DIR", "TERM_PROGRAM=ghostty")

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        if tab:
            return osascript(TAB_GHOSTTY, " ".join(command))
        return super().opener(program, command, title, cwd)


class KittyApplication(Application):
    """A process of its own that ends with its window, with a socket for its remote control."""

    name = "kitty"
    application, bundle, inner, programs = "kitty", "net.kovidgoyal.kitty", "kitty", ("kitty",)
    marks = ("KITTY_PID", "KITTY_WINDOW_ID", "TERM=xterm-kitty")
    handles = ("KITTY_WINDOW_ID", "KITTY_PID", "KITTY_LISTEN_ON")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        socket = beside(command, "{}.kitty")
        remote = ("-o", "allow_remote_control=socket-only", "--listen-on", f"unix:{socket}") if socket else ()
        quiet = ("-o", "confirm_os_window_close=0", "-o", "macos_quit_when_last_window_closed=yes")
        return (program, *quiet, *remote, *hint(cwd, "-d", "{}"), *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        address, window = handles.get("KITTY_LISTEN_ON", ""), handles.get("KITTY_WINDOW_ID", "")
        if not address or not window.isdecimal():
            return None
        return Opener((program, "@", "--to", address, "focus-window", "--match", f"id:{window}"))


class WeztermApplication(Application):
    name = "wezterm"
    application, bundle, inner, programs = "WezTerm", "com.github.wez.wezterm", "wezterm", ("wezterm",)
    marks = ("WEZTERM_PANE", "WEZTERM_EXECUTABLE", "TERM_PROGRAM=WezTerm")
    handles = ("WEZTERM_PANE", "WEZTERM_UNIX_SOCKET")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "start", "--always-new-process", *hint(cwd, "--cwd", "{}"), "--", *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        pane, socket = handles.get("WEZTERM_PANE", ""), handles.get("WEZTERM_UNIX_SOCKET", "")
        if not pane.isdecimal() or not socket:
            return None
        which = (program, "cli", "--no-auto-start", "activate-pane", "--pane-id", pane)
        return Opener(("/usr/bin/env", f"WEZTERM_UNIX_SOCKET={socket}", *which))


class AlacrittyApplication(Application):
    name = "alacritty"
    application, bundle, inner, programs = "Alacritty", "org.alacritty", "alacritty", ("alacritty",)
    marks = ("ALACRITTY_WINDOW_ID", "ALACRITTY_SOCKET")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(cwd, "--working-directory", "{}"), "-e", *command)


class Warp(Application):
    """Executes nothing but the lines of a launch configuration, typed into the user's shell: one that lies
    among the user's own for a minute, under the name of the file that it executes."""

    name = "warp"
    application, bundle, programs = "Warp", "dev.warp.Warp-Stable", ("Warp.app",)
    marks = ("WARP_IS_LOCAL_SHELL_SESSION", "TERM_PROGRAM=WarpTerminal")
    stays = True

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        called = "muster-" + os.path.basename(command[-1]).removesuffix(".command")
        where = "".join(hint(cwd, "{}"))
        return Opener(("/bin/sh", "-s", called, where, " ".join(command)), WARP)


TERMINALS: tuple[Terminal, ...] = (
    Default(),
    AppleTerminal(),
    Iterm2(),
    GhosttyApplication(),
    KittyApplication(),
    WeztermApplication(),
    AlacrittyApplication(),
    Warp(),
    Tmux(),
    Screen(),
    Zellij(),
)
"""`default` comes first: it is what the user chose, and it is always there."""
