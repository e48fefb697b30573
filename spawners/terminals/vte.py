"""Terminals of GTK desktops. Most of them serve all windows from their first process.

Where there is a word for a process of its own it is given: a window then has the environment that it is
opened with. Fixed titles are not asked for, they would hide what the program in the window calls itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.words import XTerminal, hint

__all__ = [
    "GnomeConsole",
    "GnomeTerminal",
    "LxTerminal",
    "MateTerminal",
    "Ptyxis",
    "Terminator",
    "Tilix",
    "XfceTerminal",
]


class GnomeTerminal(XTerminal):
    """The launcher leaves at once; the windows are of a service that the session bus starts.

    A tab goes beside another `screen`, if one of the same `service` is known; else it is a window.
    """

    name = "gnome-terminal"
    programs = ("gnome-terminal",)
    numbered = False
    served = True
    tabs = True
    marks = ("GNOME_TERMINAL_SCREEN",)
    handles = ("GNOME_TERMINAL_SCREEN", "GNOME_TERMINAL_SERVICE")
    classes = ("gnome-terminal", "gnome-terminal-server")
    entries = ("org.gnome.Terminal.desktop", "gnome-terminal.desktop")
    desktops = ("GNOME", "Unity", "X-Cinnamon", "Budgie")

    def __init__(self, service: str = "", screen: str = "") -> None:
        self._beside = (service, screen)

    def inside(self, environ: Mapping[str, str]) -> GnomeTerminal:
        return GnomeTerminal(
            *(environ.get(name, "") for name in ("GNOME_TERMINAL_SERVICE", "GNOME_TERMINAL_SCREEN"))
        )

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        where = "--tab" if tab else "--window"
        look = (*hint(title, "--title={}"), *hint(cwd, "--working-directory={}"))
        service, screen = self._beside
        known = (f"GNOME_TERMINAL_SERVICE={service}", f"GNOME_TERMINAL_SCREEN={screen}")
        beside = ("/usr/bin/env", *known) if tab and service and screen else ()
        return (*beside, program, where, *look, "--", *command)


class Ptyxis(XTerminal):
    """Runs what it is given through the user's systemd where there is `systemd-run`: without such a manager
    its window shows an error and nothing runs, which only the missing report tells."""

    name = "ptyxis"
    programs = ("ptyxis",)
    tabs = True
    marks = ("PTYXIS_VERSION", "PTYXIS_PROFILE")
    classes = ("org.gnome.ptyxis", "ptyxis")
    entries = ("org.gnome.Ptyxis.desktop",)
    desktops = ("GNOME",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """`--` implies a process of its own, which cannot add a tab: that needs the words as one string."""
        if tab:
            return (program, "--tab", *hint(cwd, "-d", "{}"), "-x", " ".join(command))
        return (program, "--standalone", *hint(cwd, "-d", "{}"), "--", *command)


class GnomeConsole(XTerminal):
    """Its window shows what ran in it until somebody closes it, however it ended."""

    name = "kgx"
    programs = ("kgx", "gnome-console")
    numbered = False
    served = True
    tabs = True
    stays = True
    classes = ("org.gnome.console", "kgx")
    entries = ("org.gnome.Console.desktop",)
    desktops = ("GNOME",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        where = ("--tab",) if tab else ()
        return (program, *where, *hint(cwd, "--working-directory={}"), "--", *command)


class XfceTerminal(XTerminal):
    name = "xfce4-terminal"
    programs = ("xfce4-terminal",)
    tabs = True
    classes = ("xfce4-terminal",)
    entries = ("xfce4-terminal.desktop",)
    desktops = ("XFCE",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """A tab can only be added by a server to its own window. Without one `--tab` would make a window
        with the user's shell in it first, so the session bus is asked whether it runs."""
        look = (*hint(title, "--initial-title={}"), *hint(cwd, "--working-directory={}"))
        if not tab:
            return (program, "--disable-server", *look, "-x", *command)
        ask = "--dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.xfce.Terminal5"
        script = (
            f'dbus-send --session --print-reply {ask} | grep -q true && exec "$0" --tab "$@"; exec "$0" "$@"'
        )
        return ("/bin/sh", "-c", script, program, *look, "-x", *command)


class MateTerminal(XTerminal):
    name = "mate-terminal"
    programs = ("mate-terminal",)
    tabs = True
    classes = ("mate-terminal",)
    entries = ("mate-terminal.desktop",)
    desktops = ("MATE",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        where = "--tab" if tab else "--disable-factory"
        return (program, where, *hint(cwd, "--working-directory={}"), "-x", *command)


class LxTerminal(XTerminal):
    name = "lxterminal"
    programs = ("lxterminal",)
    classes = ("lxterminal",)
    entries = ("lxterminal.desktop",)
    desktops = ("LXDE",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "--no-remote", *hint(cwd, "--working-directory={}"), "-e", *command)


class Tilix(XTerminal):
    """Joins what follows `-e` with spaces and has a shell split it: safe words come out as they went in."""

    name = "tilix"
    programs = ("tilix",)
    tabs = True
    marks = ("TILIX_ID",)
    handles = ("TILIX_ID",)
    classes = ("tilix",)
    entries = ("com.gexperts.Tilix.desktop",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        where = ("--action", "app-new-session") if tab else ("--new-process",)
        return (program, *where, *hint(cwd, "--working-directory={}"), "-e", " ".join(command))


class Terminator(XTerminal):
    """Always a process of its own: its server splits arguments at spaces, or never starts."""

    name = "terminator"
    programs = ("terminator",)
    marks = ("TERMINATOR_UUID",)
    handles = ("TERMINATOR_UUID",)
    classes = ("terminator",)
    entries = ("terminator.desktop",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "--no-dbus", *hint(cwd, "--working-directory={}"), "-x", *command)
