"""The terminals of Windows. First of all a new console: it opens in whatever terminal the user has chosen.

All words here go through `subprocess.list2cmdline`, which programs that parse their line as C does take apart
again without loss. cmd, PowerShell and Windows Terminal read further; each of them gets words that it leaves
alone, or none.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping

from spawners.errors import SpawnerError
from spawners.terminals.base import Display, Opener, Terminal

__all__ = [
    "TERMINALS",
    "Alacritty",
    "Cmd",
    "NewConsole",
    "PowerShell",
    "Pwsh",
    "WezTerm",
    "WindowsTerminal",
    "Wsl",
]

_TITLE = re.compile(r"\w[\w .:-]*")
_FOLDER = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\)[^\"%;<>|^&!\r\n]*")
_UNQUOTED = re.compile(r"[A-Za-z0-9_.:/\\~-]+")
_QUOTED = re.compile(r"[A-Za-z0-9_.:/\\~() -]+")
"""All that a word for cmd may hold: it expands `%…%` and ends a command at `&` also between quotes."""
_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
_SINGLE_QUOTES = re.compile("['‘’‚‛]")
"""Each of them ends a text in single quotes in PowerShell, and is part of it where it stands twice."""


def _title(title: str, *words: str) -> tuple[str, ...]:
    return (*words, title) if _TITLE.fullmatch(title) else ()


def _folder(cwd: str, *words: str) -> tuple[str, ...]:
    """`words` and `cwd`; nothing where it could be mistaken. A backslash at its end would hide a quote."""
    return (*words, re.sub(r"(?<=[^:\\/])[\\/]+$", "", cwd)) if _FOLDER.fullmatch(cwd) else ()


def _only(allowed: re.Pattern[str], command: tuple[str, ...], why: str) -> tuple[str, ...]:
    """`command`. Raises `SpawnerError` if one of its words is not all `allowed`."""
    for word in command:
        if not allowed.fullmatch(word):
            raise SpawnerError(f"{why}: {word!r}")
    return command


class _Windows(Terminal):
    display = Display.DESKTOP


class NewConsole(_Windows):
    """A console of its own for the program itself, which is our child: nothing of it is parsed by anybody.

    Windows 11 shows it in the user's default terminal, Windows 10 in its own console window.
    """

    name = "console"
    programs = ("conhost.exe", "cmd.exe")

    def installed(self, path: str) -> str | None:
        """It is part of Windows, whatever PATH says; the program is named for people to read."""
        return super().installed(path) or os.path.join(os.environ.get("SYSTEMROOT", ""), "conhost.exe")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return command

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        return Opener(command, new_console=True)


class WindowsTerminal(_Windows):
    """Windows Terminal by its own command: a window of its own, or a tab in the one used last.

    `;` separates its commands wherever it stands, in quotes too, unless a backslash is before it. It expands
    `%NAME%` in what it executes, and has no way to say that it should not.
    """

    name = "wt"
    programs = ("wt.exe",)
    tabs = True
    marks = ("WT_SESSION",)
    handles = ("WT_SESSION", "WT_PROFILE_ID")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        command = _only(
            re.compile("[^%\r\n]+"), command, "Windows Terminal expands variables in what it runs"
        )
        where = ("-w", "0" if tab else "-1", "new-tab")
        words = (*where, *_title(title, "--title"), *_folder(cwd, "-d"), "--", *command)
        return (program, *(word.replace(";", "\\;") for word in words))


class PowerShell(_Windows):
    """Windows PowerShell 5 in a new console. The command travels encoded, so that no quoting is undone."""

    name = "powershell"
    programs = ("powershell.exe",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        words = " ".join("'" + _SINGLE_QUOTES.sub(r"\g<0>\g<0>", word) + "'" for word in command)
        script = base64.b64encode(f"& {words}; exit $LASTEXITCODE".encode("utf-16-le")).decode("ascii")
        return (program, "-NoLogo", "-NoProfile", "-EncodedCommand", script)

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        # Version 5 does not escape quotes for what it executes; no path holds one.
        _only(re.compile('[^"\r\n]+'), command, "PowerShell loses quotes in what it runs")
        return Opener(self.argv(program, command, title, cwd, tab=tab), new_console=True)


class Pwsh(PowerShell):
    """PowerShell 7 in a new console."""

    name = "pwsh"
    programs = ("pwsh.exe",)


class Cmd(_Windows):
    """cmd's `start`. It takes its first quoted word for the title, so there always is one in quotes."""

    name = "cmd"
    programs = ("cmd.exe",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        command = _only(_QUOTED, command, "cmd would read more than a word in")
        called = f"agent {title}" if _QUOTED.fullmatch(title) and _TITLE.fullmatch(title) else "Muster agent"
        folder = _folder(cwd, "/D") if _QUOTED.fullmatch(cwd) else ()
        return (program, "/d", "/c", "start", called, *folder, *command)


class Wsl(_Windows):
    """A console of the Windows subsystem for Linux, in which the command runs through its interoperability.

    `distribution` empty: the user's default one.
    """

    name = "wsl"
    programs = ("wsl.exe",)
    marks = ("WSL_DISTRO_NAME",)
    handles = ("WSL_DISTRO_NAME",)

    def __init__(self, distribution: str = "") -> None:
        self._distribution = distribution

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        first = _DRIVE.sub(lambda found: f"/mnt/{found[1].lower()}/", command[0], count=1).replace("\\", "/")
        chosen = ("-d", self._distribution) if _TITLE.fullmatch(self._distribution) else ()
        return (program, *chosen, *_folder(cwd, "--cd"), "-e", first, *command[1:])

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        return Opener(self.argv(program, command, title, cwd, tab=tab), new_console=True)


class Alacritty(_Windows):
    """Its Windows version joins the words by spaces, in some versions without quotes around them."""

    name = "alacritty"
    programs = ("alacritty.exe",)
    marks = ("ALACRITTY_WINDOW_ID", "ALACRITTY_LOG")
    handles = ("ALACRITTY_WINDOW_ID",)

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        command = _only(_UNQUOTED, command, "Alacritty on Windows loses the bounds of words with spaces")
        return (program, *_title(title, "-T"), *_folder(cwd, "--working-directory"), "-e", *command)


class WezTerm(_Windows):
    """Its graphical program itself: `wezterm.exe` would flash a console."""

    name = "wezterm"
    programs = ("wezterm-gui.exe",)
    marks = ("WEZTERM_PANE",)
    handles = ("WEZTERM_PANE", "WEZTERM_UNIX_SOCKET")

    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "start", "--always-new-process", *_folder(cwd, "--cwd"), "--", *command)

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        pane = handles.get("WEZTERM_PANE", "")
        client = os.path.join(os.path.dirname(program), "wezterm.exe")
        return Opener((client, "cli", "activate-pane", "--pane-id", pane)) if pane.isdecimal() else None


TERMINALS: tuple[Terminal, ...] = (
    NewConsole(),
    WindowsTerminal(),
    WezTerm(),
    Alacritty(),
    Pwsh(),
    PowerShell(),
    Cmd(),
    Wsl(),
)
"""In the order in which they are tried when nobody has chosen."""
