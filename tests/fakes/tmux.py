"""A real terminal to look at: panes of a tmux of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spawners.launch import Size
from spawners.screen.base import Cell
from spawners.screen.engines import open_screen


class Tmux:
    """One server, with a socket and settings of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._command = ["tmux", "-u", "-S", str(folder / "tmux"), "-f", "/dev/null"]

    def __call__(self, *words: str, data: bytes | None = None) -> str:
        environ = {**os.environ, "LC_ALL": "C.UTF-8"}
        environ.pop("TMUX", None)
        done = subprocess.run(
            [*self._command, *words], input=data, capture_output=True, env=environ, check=False, timeout=30
        )
        assert done.returncode == 0, f"tmux {words}: {done.stderr.decode()}"
        return done.stdout.decode()

    def pane(self, argv: Sequence[str], *, columns: int = 80, rows: int = 24) -> Pane:
        """Run `argv` in a terminal of this size, which stays when it has ended."""
        settings = "set -g status off ; set -g remain-on-exit on ; set -g default-terminal xterm-256color"
        start = ["start-server", ";", *settings.split(), ";"]
        size = ["-x", str(columns), "-y", str(rows)]
        ended = self._folder / f"ended-{next(self._numbers)}"
        shell = ["sh", "-c", f'"$@"; echo $? > {ended}.part; mv {ended}.part {ended}', "sh", *argv]
        where = self(*start, "new-session", "-d", "-P", "-F", "#{pane_id}", *size, "--", *shell)
        return Pane(self, where.strip(), ended)

    def end(self) -> None:
        subprocess.run([*self._command, "kill-server"], capture_output=True, check=False, timeout=30)


@dataclass(frozen=True)
class Pane:
    tmux: Tmux
    where: str
    ended: Path
    """Its program's exit code; tmux itself loses that now and then."""

    def keys(self, *names: str) -> None:
        """Press keys by tmux' names for them."""
        self.tmux("send-keys", "-t", self.where, *names)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", self.where, "-l", "--", text)

    def paste(self, data: bytes) -> None:
        """Paste as a person does: in brackets if the program asked for them."""
        self.tmux("load-buffer", "-", data=data)
        self.tmux("paste-buffer", "-p", "-r", "-t", self.where)

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-t", self.where, "-x", str(columns), "-y", str(rows))

    def text(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", self.where)

    def cells(self) -> list[list[Cell]]:
        """Every cell with its looks. Two ways to write the same colour are the same here."""
        shown = self.tmux("capture-pane", "-p", "-e", "-t", self.where).removesuffix("\n")
        columns, rows = (int(number) for number in self.fact("#{pane_width} #{pane_height}").split())
        screen = open_screen(Size(rows, columns))
        screen.feed(b"\x1b(B\x1b)0" + shown.replace("\n", "\r\n").encode())
        return screen.cells()

    def cursor(self) -> str:
        return self.fact("at #{cursor_x},#{cursor_y} seen=#{cursor_flag} alternate=#{alternate_on}")

    def fact(self, wanted: str) -> str:
        """What tmux knows, by its format."""
        return self.tmux("display-message", "-p", "-t", self.where, wanted).strip()

    @property
    def pid(self) -> int:
        """Of the program in it."""
        shell = self.fact("#{pane_pid}")
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    @property
    def exit_code(self) -> int | None:
        """How its program has ended, None while it runs."""
        return int(self.ended.read_text()) if self.ended.exists() else None

    def until(self, condition: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Wait for something to be seen: a terminal tells of nothing."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not seen in {timeout_s} s; the pane shows\n{self.text()}"
            time.sleep(0.03)

    def sees(self, text: str) -> None:
        self.until(lambda: text in self.text())

    def ends(self) -> int:
        self.until(lambda: self.exit_code is not None)
        code = self.exit_code
        assert code is not None
        return code


def same(direct: Pane, attached: Pane) -> None:
    """Wait until both show the same, cell by cell and cursor; says where they differ if they never do.

    Which of its two screens a program is on cannot be told apart: a viewer is always on its second one.
    """
    deadline = time.monotonic() + 20
    while found := list(_differences(direct, attached)):
        assert time.monotonic() < deadline, "direct and attached differ:\n" + "\n".join(found)
        time.sleep(0.05)


def _differences(direct: Pane, attached: Pane) -> Iterator[str]:
    for row, (left, right) in enumerate(zip(direct.cells(), attached.cells(), strict=True)):
        for column, (one, other) in enumerate(zip(left, right, strict=True)):
            if one != other:
                yield f"row {row}, column {column}: {one} and {other}"
    cursors = [pane.cursor().partition(" alternate")[0] for pane in (direct, attached)]
    if cursors[0] != cursors[1]:
        yield f"cursor: {cursors[0]} and {cursors[1]}"


@contextmanager
def a_tmux(folder: Path) -> Iterator[Tmux]:
    server = Tmux(folder)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    folder = Path(tempfile.mkdtemp(prefix="muster-tmux-"))
    with a_tmux(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)
