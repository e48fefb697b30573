"""What the tests of terminal emulation share: every engine, and recorded sessions of real programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from spawners.launch import Size
from spawners.screen.base import Screen
from spawners.screen.engines import ENGINES, open_screen

__all__ = ["RECORDINGS", "SIZE", "Open", "Recording", "assert_same", "engine", "opened", "recording", "state"]

SIZE = Size(24, 80)
FOLDER = Path(__file__).parents[1] / "golden" / "terminal"
RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.vt"))
Open = Callable[..., Screen]


@dataclass(frozen=True)
class Point:
    """What tmux shows after the first `offset` bytes of a recording."""

    mark: str
    offset: int
    text: list[str]
    cursor: list[int]
    alternate: bool
    visible: bool
    title: str


@dataclass(frozen=True)
class Recording:
    """A session that `tests/golden/terminal/record.py` recorded in a terminal of the size `SIZE`."""

    name: str
    output: bytes
    points: tuple[Point, ...]


@cache
def recording(name: str) -> Recording:
    points = json.loads((FOLDER / f"{name}.json").read_text())
    return Recording(name, (FOLDER / f"{name}.vt").read_bytes(), tuple(Point(**point) for point in points))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine in turn."""
    return str(request.param)


@pytest.fixture
def opened(engine: str) -> Open:
    """Opens a screen of that engine, of `SIZE` unless told otherwise, and feeds it."""

    def opens(output: bytes | str = b"", size: Size = SIZE, history_lines: int = 0) -> Screen:
        screen = open_screen(size, history_lines=history_lines, engine=engine)
        screen.feed(output.encode() if isinstance(output, str) else output)
        return screen

    return opens


def state(screen: Screen) -> tuple[object, ...]:
    """All that a screen says of itself and that does not depend on who looks."""
    return screen.text(), screen.cells(), screen.cursor, screen.modes, screen.title, screen.size


def assert_same(screen: Screen, other: Screen) -> None:
    """Both show the same; says the first cell that differs instead of thousands."""
    assert screen.size == other.size
    for row, (cells, others) in enumerate(zip(screen.cells(), other.cells(), strict=True)):
        for column, (cell, another) in enumerate(zip(cells, others, strict=True)):
            assert cell == another, (row, column)
    assert state(screen)[2:] == state(other)[2:]
