"""Terminals that draw with the X library alone. Each is one process a window, with nothing shared."""

from __future__ import annotations

from spawners.terminals.base import Display
from spawners.terminals.words import XTerminal, hint

__all__ = ["St", "Urxvt", "Xterm"]


class _Xlib(XTerminal):
    display = Display.X11


class Xterm(XTerminal):
    name = "xterm"
    display = Display.X11
    programs = ("xterm",)
    marks = ("XTERM_VERSION",)
    classes = ("xterm",)
    entries = ("debian-xterm.desktop", "xterm.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """`-e` takes all that follows it; there is no word for the folder."""
        return (program, *hint(title, "-T", "{}"), "-e", *command)


class Urxvt(XTerminal):
    """Without its daemon: `urxvtc` would give every window the life and the folder of `urxvtd`."""

    name = "urxvt"
    display = Display.X11
    programs = ("urxvt", "rxvt-unicode", "urxvt256c")
    marks = ("COLORTERM=rxvt-xpm", "COLORTERM=rxvt")
    classes = ("urxvt",)
    entries = ("rxvt-unicode.desktop", "urxvt.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(title, "-title", "{}"), *hint(cwd, "-cd", "{}"), "-e", *command)


class St(XTerminal):
    name = "st"
    display = Display.X11
    programs = ("st", "stterm")
    marks = ("TERM=st-256color", "TERM=stterm-256color")
    classes = ("st", "st-256color", "stterm")
    entries = ("st.desktop", "stterm.desktop")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(title, "-T", "{}"), "-e", *command)
