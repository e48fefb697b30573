"""Terminals that draw with the X library alone. Each is one process a window, with nothing shared."""

from __future__ import annotations

from collections.abc import Mapping

from spawners.terminals.base import Display, Opener, Terminal
from spawners.terminals.words import WINDOW_ID, focus_by_window_id, hint

__all__ = ["St", "Urxvt", "Xterm"]


class _Xlib(Terminal):
    display = Display.X11
    handles = (WINDOW_ID,)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        return focus_by_window_id(handles)


class Xterm(_Xlib):
    name = "xterm"
    programs = ("xterm",)
    marks = ("XTERM_VERSION",)
    classes = ("xterm",)
    entries = ("debian-xterm.desktop", "xterm.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """`-e` takes all that follows it; there is no word for the folder."""
        return (program, *hint(title, "-T", "{}"), "-e", *command)


class Urxvt(_Xlib):
    """Without its daemon: `urxvtc` would give every window the life and the folder of `urxvtd`."""

    name = "urxvt"
    programs = ("urxvt", "rxvt-unicode", "urxvt256c")
    marks = ("COLORTERM=rxvt-xpm", "COLORTERM=rxvt")
    classes = ("urxvt",)
    entries = ("rxvt-unicode.desktop", "urxvt.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(title, "-title", "{}"), *hint(cwd, "-cd", "{}"), "-e", *command)


class St(_Xlib):
    name = "st"
    programs = ("st", "stterm")
    marks = ("TERM=st-256color", "TERM=stterm-256color")
    classes = ("st", "st-256color", "stterm")
    entries = ("st.desktop", "stterm.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(title, "-T", "{}"), "-e", *command)
