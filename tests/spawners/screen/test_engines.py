"""Choosing an emulator, also on a machine where the better one cannot be loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spawners.launch import Size
from spawners.screen.engines import ENGINES, engine_name, engine_note, open_screen, replay_bytes

BROKEN = """
import sys
{breaks}
from spawners.launch import Size
from spawners.screen.engines import engine_name, engine_note, open_screen, replay_bytes
screen = open_screen(Size(2, 10))
screen.feed(b"text")
print(engine_name(), replay_bytes(), screen.text()[0])
print(engine_note())
"""

ASKED = """
import sys
import pyghostty  # which asks for some of its own
from spawners.launch import Size
from spawners.screen.engines import open_screen
from spawners.screen.paint import paint
asked = []
def look(frame, event, value):
    if event == "call" and frame.f_code.co_name == "parse_type":
        asked.append(frame.f_locals["cdecl"])
sys.setprofile(look)
screen = open_screen(Size(), history_lines=10, engine="ghostty")
screen.feed(b"x" * 5000)
paint(screen, Size())
screen.history(0)
sys.setprofile(None)
print(*asked)
"""


def run(breaks: str) -> list[str]:
    argv = [sys.executable, "-c", BROKEN.format(breaks=breaks)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_best_engine_is_used() -> None:
    assert engine_name() == next(iter(ENGINES))
    assert engine_note() == ""
    assert replay_bytes() > replay_bytes("pyte") > 0


def test_the_types_of_the_library_are_looked_up_together() -> None:
    argv = [sys.executable, "-c", ASKED]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "MusterTypes\n"


@pytest.mark.parametrize(
    "breaks",
    [
        "sys.modules['pyghostty'] = None",
        "import os; os.environ['PYGHOSTTY_LIB'] = '/nowhere/libghostty-vt.so'",
    ],
    ids=["not installed", "library missing"],
)
def test_without_the_library_the_fallback_is_used_and_says_so(breaks: str) -> None:
    used, note = run(breaks)
    assert used == f"pyte {ENGINES['pyte'].replay_bytes} text"
    assert "ghostty cannot be loaded" in note
    assert "emulated by pyte" in note


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="ghostty, pyte"):
        open_screen(Size(), engine="xterm")
