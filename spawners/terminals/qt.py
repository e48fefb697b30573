"""Terminals of Qt desktops."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.base import Opener
from spawners.terminals.words import WINDOW_ID, XTerminal, hint

__all__ = ["Konsole", "Qterminal"]


class Konsole(XTerminal):
    """Expands `$NAME` in what it executes; safe words have none."""

    name = "konsole"
    programs = ("konsole",)
    tabs = True
    marks = ("KONSOLE_VERSION",)
    handles = (WINDOW_ID, "KONSOLE_DBUS_SERVICE", "KONSOLE_DBUS_WINDOW", "KONSOLE_DBUS_SESSION")
    classes = ("konsole",)
    entries = ("org.kde.konsole.desktop", "konsole.desktop")
    desktops = ("KDE",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """`--new-tab` has an effect for users who have all windows in one process; else it is a window."""
        where = "--new-tab" if tab else "--separate"
        title_of_the_program = ("-p", "LocalTabTitleFormat=%w")  # by default it shows folder and program
        return (program, where, *title_of_the_program, *hint(cwd, "--workdir", "{}"), "-e", *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """Raise the window, and show its tab over D-Bus: users may have all windows in one process."""
        service, window = handles.get("KONSOLE_DBUS_SERVICE", ""), handles.get("KONSOLE_DBUS_WINDOW", "")
        session = handles.get("KONSOLE_DBUS_SESSION", "").rpartition("/")[2]
        raised = super().focus(program, handles)
        if raised is None or not (service and window and session.isdecimal()):
            return raised
        send = ("dbus-send", "--session", "--print-reply", f"--dest={service}", window)
        chosen = (*send, "org.kde.konsole.Window.setCurrentSession", f"int32:{session}")
        script = 'n=$1; shift; wmctrl -i -a "$n" && "$@"'
        return Opener(("/bin/sh", "-c", script, "sh", handles[WINDOW_ID], *chosen))


class Qterminal(XTerminal):
    """Splits the one string after `-e` at spaces and quotes; its window has no size at first."""

    name = "qterminal"
    programs = ("qterminal",)
    classes = ("qterminal",)
    entries = ("qterminal.desktop",)
    desktops = ("LXQt",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(cwd, "-w", "{}"), "-e", " ".join(command))
