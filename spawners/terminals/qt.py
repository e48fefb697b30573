"""Terminals of Qt desktops."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.base import Opener, Terminal
from spawners.terminals.words import WINDOW_ID, focus_by_window_id, hint

__all__ = ["Konsole", "Qterminal"]


class Konsole(Terminal):
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
        return (program, where, *hint(cwd, "--workdir", "{}"), "-e", *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """Show its tab over D-Bus, then raise the window through the X server where there is one."""
        service, window = handles.get("KONSOLE_DBUS_SERVICE", ""), handles.get("KONSOLE_DBUS_WINDOW", "")
        session = handles.get("KONSOLE_DBUS_SESSION", "").rpartition("/")[2]
        raised = focus_by_window_id(handles)
        if not (service and window and session.isdecimal()):
            return raised
        send = ("dbus-send", "--session", "--print-reply", f"--dest={service}", window)
        chosen = (*send, "org.kde.konsole.Window.setCurrentSession", f"int32:{session}")
        if raised is None:
            return Opener(chosen)
        script = 'n=$1; shift; wmctrl -i -a "$n" && "$@"'
        return Opener(("/bin/sh", "-c", script, "sh", handles[WINDOW_ID], *chosen))


class Qterminal(Terminal):
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
