"""The windows that `pty_terminal.py` opens, and fixtures of hosts that open them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from muster_processes import PYTHON, is_running, until
from running import Host

from spawners.terminals.catalog import terminals

PROGRAM = str(Path(__file__).with_name("pty_terminal.py"))


def terminal(*options: str) -> str:
    """The setting `terminal.app`, or `--terminal`, that opens such windows."""
    return " ".join([PYTHON, "-I", "-S", PROGRAM, *options, "{command}"])


@dataclass(frozen=True)
class Pane:
    """One window as its user sees it."""

    place: str

    @property
    def facts(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(Path(f"{self.place}.json").read_text())
        return found

    @property
    def argv(self) -> list[str]:
        return list(self.facts["argv"])  # type: ignore[call-overload]

    @property
    def child(self) -> int:
        return int(str(self.facts["child"]))

    @property
    def pid(self) -> int:
        return int(os.path.basename(self.place))

    @property
    def raw(self) -> bytes:
        with contextlib.suppress(FileNotFoundError):
            return Path(f"{self.place}.shown").read_bytes()
        return b""

    @property
    def text(self) -> str:
        """What came out, without escape codes."""
        return re.sub(
            r"\x1b\[[0-9;:?<>=]*[A-Za-z@`]|\x1b[\x20-\x2f]*[0-~]", "", self.raw.decode("utf-8", "replace")
        )

    def shows(self, words: str) -> None:
        until(lambda: words in self.text, f"{words!r} in {self.text!r}")

    def type(self, keys: bytes) -> None:
        with open(f"{self.place}.keys", "wb") as file:
            file.write(keys)

    def close(self) -> None:
        """As the window manager does."""
        os.kill(self.pid, signal.SIGTERM)

    @property
    def closed(self) -> bool:
        return bool(self.facts.get("closed"))

    def gone(self) -> None:
        until(lambda: self.closed, f"the window to close; it shows {self.text!r}")


@dataclass(frozen=True)
class Desk:
    """A folder of such windows."""

    folder: Path

    def panes(self) -> list[Pane]:
        """Every window there was, oldest first."""
        found = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_ctime_ns)
        return [Pane(str(path)[: -len(".json")]) for path in found]

    def pane(self, number: int = 0) -> Pane:
        """The window that was opened as the `number`-th."""
        until(lambda: len(self.started()) > number, f"window {number}")
        return self.started()[number]

    def started(self) -> list[Pane]:
        """Those in which something was executed."""
        return sorted((pane for pane in self.panes() if "child" in pane.facts), key=lambda pane: pane.child)

    def close_all(self) -> None:
        for pane in self.panes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pane.pid, signal.SIGKILL)

    def clear(self) -> None:
        """Close every window, and forget that it was there."""
        self.close_all()
        for pane in self.panes():
            until(lambda pid=pane.pid: not is_running(pid), "a window to be gone")
            for left in self.folder.glob(f"{pane.pid}.*"):
                left.unlink()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    folder.mkdir()
    found = Desk(folder)
    yield found
    found.close_all()


@pytest.fixture
def windowed(desk: Desk, make_host: Callable[..., Host]) -> Host:
    """A host whose windows open in `pty_terminal.py`, not started yet."""
    return make_host("host", MUSTER_TERMINAL_APP=terminal(), PTY_TERMINAL=str(desk.folder))


# -- one for all tests of a module: what has ended is there for the next test too, no window is


@pytest.fixture(scope="module")
def lasting_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    found = Desk(tmp_path_factory.mktemp("desk"))
    yield found
    found.close_all()


@pytest.fixture(scope="module")
def lasting_windowed(lasting_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    variables = {"MUSTER_TERMINAL_APP": terminal(), "PTY_TERMINAL": str(lasting_desk.folder)}
    host = Host(tmp_path_factory.mktemp("lasting") / "host", **variables)
    yield host
    host.end_agents()


@pytest.fixture
def shared_desk(lasting_desk: Desk) -> Iterator[Desk]:
    """The windows of `shared_windowed`; none of another test is there."""
    yield lasting_desk
    lasting_desk.clear()


@pytest.fixture
def shared_windowed(lasting_windowed: Host, shared_desk: Desk) -> Iterator[Host]:
    """As `windowed`, but running: other tests of the module had it before. None of their agents lives."""
    lasting_windowed.revive()
    yield lasting_windowed
    lasting_windowed.revive()
    lasting_windowed.stop_agents()


@pytest.fixture
def blind(desk: Desk, make_host: Callable[..., Host], tmp_path: Path) -> Host:
    """A running host where no terminal opens, whatever this machine has: each that is found fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in {program for known in terminals() for program in known.programs}:
        (folder / name).write_text("#!/bin/sh\necho cannot open display >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    (tmp_path / ".profile").write_text(f"PATH={folder}:$PATH\n")
    variables = {"MUSTER_TERMINAL_APP": terminal("--exit", "3"), "PTY_TERMINAL": str(desk.folder)}
    host = make_host("host", HOME=str(tmp_path), **variables)
    host.start()
    return host
