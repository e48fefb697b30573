"""However an attach ends, the person's terminal is afterwards as it was: its settings and its screen."""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

import pexpect
import pytest
from muster_command import MUSTER
from muster_processes import agent_argv, is_running, until
from running import Host, environment

from relay.wire.agents import Mode
from spawners.launch import Size
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen

SIZE = Size(24, 80)
WILD = (
    "\x1b[?1049h\x1b[?1000;1002;1003;1006;1004;2004h\x1b[?1h\x1b=\x1b[>1u\x1b[=5;1u\x1b[>4;2m\x1b[?25l\x1b[3;9r"
    "\x1b[?6h\x1b[4h\x1b[5 q\x1b[7;31;45m\x1b[22;0t\x1b]2;mine now\x07\x1b[3J\x1b[8;5;5t\x1b[?7lpainted\x1b(0"
)
"""A program that switches on everything and cleans up nothing."""
MODES_AT_FIRST = frozenset({7})


class Person:
    """Somebody with a shell in a terminal, whose every cell is known."""

    def __init__(self, host: Host) -> None:
        variables = {
            **environment(host.directory),
            "TERM": "xterm-256color",
            "PS1": "$ ",
            "LC_ALL": "C.UTF-8",
        }
        self.shell = pexpect.spawn(
            "bash", ["--norc", "--noediting"], env=variables, dimensions=(SIZE.rows, SIZE.columns), timeout=30
        )
        self.screen: Screen = open_screen(SIZE)
        self.shown = b""
        self.sees(b"$ ")

    def type(self, text: str) -> None:
        self.shell.send(text)

    def sees(self, wanted: bytes) -> None:
        """Read on until this is shown."""
        deadline = time.monotonic() + 30
        while wanted not in self.shown:
            assert time.monotonic() < deadline, f"{wanted!r} was not shown: {self.shown!r}"
            piece = self.shell.read_nonblocking(65536, timeout=30)
            self.screen.feed(piece)
            self.shown += piece
        self.shown = self.shown[self.shown.index(wanted) + len(wanted) :]

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.shell.child_fd)

    @property
    def attaching(self) -> int:
        """The process of `muster attach`."""
        with open(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children") as file:
            return int(file.read().split()[0])


@pytest.fixture
def host(shared_host: Host) -> Host:
    """One for all tests here."""
    return shared_host


@pytest.fixture
def person(host: Host) -> Any:
    somebody = Person(host)
    yield somebody
    somebody.shell.close(force=True)


def wild(host: Host) -> str:
    agent = host.spawn(
        *agent_argv("raw-mode", f"raw:{WILD.encode().hex()}", "read:1", "exit:5"),
        mode=Mode.EMBEDDED,
        size={"rows": 24, "columns": 80},
    )
    return host.get(agent.id, "running").id


def detaches(person: Person, host: Host, agent_id: str) -> int:
    person.type("\x1dd")
    return 0


def agent_ends(person: Person, host: Host, agent_id: str) -> int:
    person.type("x")
    return 5


def terminated(person: Person, host: Host, agent_id: str) -> int:
    os.kill(person.attaching, signal.SIGTERM)
    return 128 + signal.SIGTERM


def hung_up(person: Person, host: Host, agent_id: str) -> int:
    os.kill(person.attaching, signal.SIGHUP)
    return 128 + signal.SIGHUP


def interrupted_from_outside(person: Person, host: Host, agent_id: str) -> int:
    os.kill(person.attaching, signal.SIGINT)
    return 128 + signal.SIGINT


def keeper_dies(person: Person, host: Host, agent_id: str) -> int:
    """The line breaks in the middle; the daemon then finds out what became of the agent."""
    with open(f"{host.home.agents}/{agent_id}/child.json") as file:
        keeper = int(file.read().split('"keeperPid":')[1].split(",")[0])
    os.kill(keeper, signal.SIGKILL)
    return 1


@pytest.mark.parametrize(
    "ending", [detaches, agent_ends, terminated, hung_up, interrupted_from_outside, keeper_dies]
)
def test_however_it_ends(person: Person, host: Host, ending: Callable[[Person, Host, str], int]) -> None:
    agent_id = wild(host)
    person.type("clear; echo a line of mine; echo another\r")
    person.sees(b"another\r\n")
    person.sees(b"$ ")
    before, rows = person.settings(), person.screen.text()

    person.type(f"{' '.join(MUSTER)} attach {agent_id}\r")
    person.sees(b"painted")
    assert person.settings()[3] & (termios.ICANON | termios.ECHO | termios.ISIG) == 0
    code = ending(person, host, agent_id)
    person.sees(b"$ ")
    person.type("echo code $?\r")
    person.sees(b"\ncode %d\r\n" % code)

    assert person.settings() == before
    shown = person.screen
    assert [row for row in shown.text() if row][:2] == [row for row in rows if row][:2]
    assert (shown.modes.alternate, shown.modes.private) == (False, MODES_AT_FIRST)
    assert (shown.modes.keypad, shown.modes.kitty_keyboard) == (False, 0)
    assert (shown.cursor.visible, shown.cursor.shape) == (True, 0)
    assert shown.size == SIZE
    assert all(cell.style == shown.cells()[-1][-1].style for cell in shown.cells()[0])


def test_stopped_and_continued_it_gives_the_terminal_back_meanwhile(person: Person, host: Host) -> None:
    agent_id = wild(host)
    before = person.settings()
    person.type(f"{' '.join(MUSTER)} attach {agent_id}\r")
    person.sees(b"painted")

    os.kill(person.attaching, signal.SIGTSTP)
    person.sees(b"Stopped")
    person.sees(b"$ ")
    assert person.settings() == before
    assert not person.screen.modes.alternate
    person.type("fg\r")
    person.sees(b"painted")
    assert person.settings()[3] & termios.ICANON == 0
    person.type("x")
    person.sees(b"$ ")
    person.type("echo code $?\r")
    person.sees(b"\ncode 5\r\n")

    assert person.settings() == before


def test_a_terminal_that_goes_away_only_detaches(person: Person, host: Host) -> None:
    agent_id = wild(host)
    person.type(f"{' '.join(MUSTER)} attach {agent_id}\r")
    person.sees(b"painted")
    viewer = person.attaching

    person.shell.close(force=True)

    until(lambda: not is_running(viewer), "the viewer to end")
    assert not host.get(agent_id).ended
    assert sys.executable
