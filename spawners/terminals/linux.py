"""The terminals of X11 and Wayland desktops, in the order in which they are tried when nothing else tells."""

from __future__ import annotations

from spawners.terminals.base import Terminal
from spawners.terminals.gpu import Alacritty, Foot, Ghostty, Kitty, Wezterm
from spawners.terminals.multiplexers import Screen, Tmux, Zellij
from spawners.terminals.qt import Konsole, Qterminal
from spawners.terminals.vte import (
    GnomeConsole,
    GnomeTerminal,
    LxTerminal,
    MateTerminal,
    Ptyxis,
    Terminator,
    Tilix,
    XfceTerminal,
)
from spawners.terminals.words import XTerminal, hint
from spawners.terminals.xlib import St, Urxvt, Xterm

__all__ = ["TERMINALS", "XTerminalEmulator", "XdgTerminalExec"]


class XdgTerminalExec(XTerminal):
    """Opens what the user has put first into xdg-terminals.list; drops hints that have no words there."""

    name = "xdg-terminal-exec"
    programs = ("xdg-terminal-exec",)
    numbered = False
    served = True

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, *hint(cwd, "--dir={}"), *command)


class XTerminalEmulator(XTerminal):
    """What Debian's alternatives point to; all it promises is xterm's `-T` and `-e`."""

    name = "x-terminal-emulator"
    programs = ("x-terminal-emulator",)
    numbered = False
    served = True

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "-e", *command)


TERMINALS: tuple[Terminal, ...] = (
    Ptyxis(),
    GnomeTerminal(),
    Konsole(),
    XfceTerminal(),
    MateTerminal(),
    Ghostty(),
    Kitty(),
    Wezterm(),
    Alacritty(),
    Foot(),
    Tilix(),
    Qterminal(),
    LxTerminal(),
    Terminator(),
    GnomeConsole(),  # late: its window stays when the agent has ended
    Urxvt(),
    Xterm(),
    St(),
    XdgTerminalExec(),
    XTerminalEmulator(),
    Tmux(),
    Screen(),
    Zellij(),
)
