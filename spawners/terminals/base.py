"""What a terminal is: pure words for one that opens a window, and what a window says of itself.

A terminal is only a viewer. Its pid, its exit code and its environment tell nothing of the agent: four
launchers corrupt what they are to execute, and eight give it the environment of their first instance. So what
runs in the window is named by characters that nobody expands (`SAFE`), and reports in once it runs.
"""

from __future__ import annotations

import enum
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from spawners.launch import Size

__all__ = ["SAFE", "Attempt", "Desktop", "Display", "Opener", "Report", "Terminal", "Wanted", "is_safe"]

SAFE = re.compile(r"[A-Za-z0-9_./:-]+")
"""All that a word of a command in a window may hold on POSIX; every terminal hands it on unchanged."""


def is_safe(word: str) -> bool:
    """Whether no terminal mistakes this word for anything else, an option included."""
    return SAFE.fullmatch(word) is not None and not word.startswith("-")


class Display(enum.Enum):
    """What a terminal draws on: X11, Wayland, either of them, or the desktop of macOS and Windows.

    `NONE`: it keeps its windows itself, as tmux does. For a desktop `EITHER` means that it has both.
    """

    X11 = "x11"
    WAYLAND = "wayland"
    EITHER = "either"
    DESKTOP = "desktop"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Desktop:
    """The graphical session that windows open in, as it is now.

    `env` is what a launcher is given, `kind` what it may draw on, None if there is no session to open a
    window in: `problem` then says why, and what to do. `source` says how it was found.
    """

    env: Mapping[str, str]
    kind: Display | None
    source: str = ""
    problem: str = ""

    def shows(self, display: Display) -> bool:
        """Whether a terminal that draws on `display` has what it needs here."""
        if display is Display.NONE:
            return True
        if self.kind is None or Display.DESKTOP in (display, self.kind):
            return self.kind is not None and display in (self.kind, Display.EITHER)
        return self.kind is display or Display.EITHER in (display, self.kind)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a window should look like: hints that a terminal is free not to take."""

    title: str
    cwd: str
    tab: bool = False


@dataclass(frozen=True, slots=True)
class Opener:
    """A program to execute so that a window opens: `stdin` is what it reads, `new_console` asks Windows
    for a console of its own."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    new_console: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What the program in a window has said of itself. `handles` are the variables of its environment by
    which its terminal knows the window (`WINDOWID`, `KITTY_WINDOW_ID`, `TMUX_PANE`, …)."""

    pid: int
    tty: str
    size: Size
    handles: Mapping[str, str] = field(default_factory=dict)


class Attempt(Protocol):
    """One try to open a window, made by whoever waits for the report from it."""

    @property
    def command(self) -> tuple[str, ...]:
        """What is to run in the window, each word `SAFE` on POSIX."""

    async def reported(self) -> Report:
        """Return what the window reports; whoever waits bounds the time."""

    def void(self, why: str) -> None:
        """Give the try up: a window that reports later is told to close."""


class Terminal(ABC):
    """One terminal program. All of it is pure but `installed`, which looks at the disk.

    `name` is what people write, `programs` are looked for on PATH in this order, `marks` are variables that
    are set in what runs inside it (`NAME`, or `NAME=value`), `handles` those that name the window, `classes`
    what its windows are called by the desktop (lower case, for finding the running one). `entries` are its
    desktop entries, by which users choose their terminal, and `desktops` those whose own terminal it is, by
    their names in `XDG_CURRENT_DESKTOP`. `stays`: its window stays when what ran in it has ended.
    `served`: its windows are of one process, which leaves with the last of them and loses what it is asked
    for at that moment.
    """

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    display: ClassVar[Display] = Display.EITHER
    tabs: ClassVar[bool] = False
    marks: ClassVar[tuple[str, ...]] = ()
    handles: ClassVar[tuple[str, ...]] = ()
    classes: ClassVar[tuple[str, ...]] = ()
    entries: ClassVar[tuple[str, ...]] = ()
    desktops: ClassVar[tuple[str, ...]] = ()
    stays: ClassVar[bool] = False
    served: ClassVar[bool] = False

    def installed(self, path: str) -> str | None:
        """The absolute path of its program among the folders of `path`, or None."""
        return next(filter(None, (shutil.which(program, path=path) for program in self.programs)), None)

    @abstractmethod
    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        """The words that open a window which executes `command`; `tab`: a tab where there is a window.

        `title` and `cwd` are hints; those that a launcher could mistake are left out.
        """

    def opener(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> Opener:
        """As `argv`, with what else the program needs."""
        return Opener(self.argv(program, command, title, cwd, tab=tab))

    def runs_around(self, environ: Mapping[str, str]) -> str:
        """The mark by which `environ` shows that it is one inside this terminal; empty: it does not."""
        for mark in self.marks:
            name, _, value = mark.partition("=")
            if environ.get(name) and value in ("", environ[name]):
                return mark
        return ""

    def inside(self, environ: Mapping[str, str]) -> Terminal:
        """This terminal as it is for one who runs in a window of it, with this environment there."""
        return self

    def explain(self, said: str) -> str:
        """What a launcher has complained of, with what to do about it where this terminal knows that."""
        return said

    def focuses(self, desktop: Desktop, path: str) -> bool:
        """Whether `focus` has what it needs on this desktop, with the programs in the folders of `path`."""
        return type(self).focus is not Terminal.focus

    def focus(self, program: str, handles: Mapping[str, str]) -> Opener | None:
        """What brings the window with these handles to the front; None: this terminal cannot."""
        return None
