"""Painting a screen into another terminal, which is here a second emulator."""

from __future__ import annotations

import random
import re

import pytest
from screen_fixtures import RECORDINGS, SIZE, Open, assert_same, recording

from spawners.launch import Size
from spawners.screen.base import Cursor, Modes, Screen
from spawners.screen.engines import ENGINES, open_screen
from spawners.screen.paint import Painter, blank, paint, prepare, restore

JUNK = (
    b"old text\x1b[31;7m\x1b[3;4r\x1b[?6h\x1b[4h\x1b(0\x1b[?1003h\x1b[?1006h\x1b[>31u\x1b=\x1b[5 q"
    b"\x1b[3g\x1b[?25l\x1b[?1049hmore\x1b]8;;http://a\x1b\\\x1b]0;unfinished"
)
"""A viewer's terminal as another program may have left it, in the middle of a sequence."""


@pytest.fixture(params=ENGINES)
def viewer(request: pytest.FixtureRequest) -> Screen:
    screen = open_screen(SIZE, engine=request.param)
    screen.feed(JUNK)
    return screen


def cuts(name: str) -> list[int]:
    """Some places between two sequences of the recording."""
    output = recording(name).output
    starts = [at for at, byte in enumerate(output) if byte == 0x1B] or [0]
    return sorted(random.Random(name).sample(starts, min(len(starts), 12)))


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_painted_screen_is_the_screen(name: str, opened: Open, viewer: Screen) -> None:
    for cut in cuts(name):
        screen = opened(recording(name).output[:cut])
        viewer.feed(paint(screen, SIZE))
        assert_same(viewer, screen)


def test_a_blank_screen_is_a_new_one(opened: Open, viewer: Screen) -> None:
    screen = opened()
    viewer.feed(blank())
    assert_same(viewer, screen)
    for one in (screen, viewer):
        one.feed(b"a\tb\n\n\n\n\n\n\nlq" + b"c" * 80 + b"\x1b[5;9H!")
    assert_same(viewer, screen)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_program_may_go_on_where_it_was_painted(name: str, opened: Open, viewer: Screen) -> None:
    output = recording(name).output
    for cut in cuts(name):
        screen = opened(output[:cut])
        viewer.feed(paint(screen, SIZE))
        following = output[cut : cut + 3000].partition(b"\x1b[?1049l")[
            0
        ]  # the other screen is the viewer's own
        for one in (screen, viewer):
            one.feed(following)
        assert_same(viewer, screen)


@pytest.mark.parametrize(
    "output",
    [
        b"x" * 80 + b"\x1b[31m",
        b"\x1b[3;10r\x1b[5;5H",
        b"\x1b[3;10r\x1b[?6h\x1b[2;5H",
        b"\x1b[4habc\r",
        b"\x1b)0\x0eqq",
        b"\x1b[3g\x1b[1;5H\x1bH\r",
        b"\x1b[1;38;2;1;2;3;48;5;9mbold",
        b"\x1b[?7l" + b"y" * 90,
        "漢字 e\u0301 👍🏽 🇩🇪 x".encode(),
    ],
    ids=[
        "wrap due",
        "scroll region",
        "origin",
        "insert",
        "character set",
        "tab stops",
        "pen",
        "no wrap",
        "wide",
    ],
)
def test_what_no_cell_shows_is_carried_over(output: bytes, opened: Open, viewer: Screen) -> None:
    screen = opened(output)
    viewer.feed(paint(screen, SIZE))
    assert_same(viewer, screen)
    for one in (screen, viewer):
        one.feed(b"a\tb\n\n\n\n\n\n\nlq" + b"c" * 80 + b"\x1b[H!")
    assert_same(viewer, screen)


@pytest.mark.parametrize("name", RECORDINGS)
def test_updates_follow_a_program(name: str, opened: Open, viewer: Screen) -> None:
    output, screen, painter = recording(name).output, opened(), Painter(SIZE)
    for start in range(0, len(output), 700):
        screen.feed(output[start : start + 700])
        viewer.feed(painter.update(screen))
        assert_same(viewer, screen)


def test_an_update_holds_only_what_changed(opened: Open) -> None:
    screen, painter = opened("one\r\ntwo\r\nthree"), Painter(SIZE)
    painter.update(screen)
    assert painter.update(screen) == b""
    screen.feed(b"\x1b[2;1HTWO")
    update = painter.update(screen)
    assert b"TWO" in update
    assert b"one" not in update
    assert b"three" not in update
    screen.feed(b"\x1b[5;5H")
    assert b"TWO" not in painter.update(screen)
    painter.forget()
    assert b"three" in painter.update(screen)


def test_a_smaller_view_shows_the_part_with_the_cursor(opened: Open, engine: str) -> None:
    screen = opened(
        "\r\n".join(f"line {number:02d} " + "." * 60 + f"end {number:02d}" for number in range(24))
    )
    view = Size(10, 40)
    viewer = open_screen(view, engine=engine)
    viewer.feed(paint(screen, view))
    assert viewer.text()[-1] == screen.text()[-1][-39:]
    assert viewer.cursor == Cursor(9, 39)
    screen.feed(b"\x1b[H")
    viewer.feed(paint(screen, view))
    assert viewer.text() == [line[:40] for line in screen.text()[:10]]


def test_half_a_wide_character_at_the_edge_is_a_blank(opened: Open, engine: str) -> None:
    screen = opened("a漢字\r\n")
    viewer = open_screen(Size(2, 4), engine=engine)
    viewer.feed(paint(screen, Size(2, 4)))
    assert viewer.text()[0] == "a漢"


def test_a_larger_view_shows_where_the_screen_ends(engine: str) -> None:
    screen, view = open_screen(Size(2, 5), engine=engine), Size(4, 8)
    screen.feed(b"one\r\ntwo")
    viewer, painter = open_screen(view, engine=engine), Painter(view)
    viewer.feed(painter.update(screen))
    assert viewer.text() == ["one  │", "two  │", "─────┘", ""]
    screen.feed(b"\x1b[H\x1b[K")
    viewer.feed(painter.update(screen))
    assert viewer.text()[:2] == ["     │", "two  │"]


def test_a_view_that_is_resized_is_painted_anew(opened: Open, engine: str) -> None:
    screen, painter = opened("text"), Painter(SIZE)
    painter.update(screen)
    painter.resize(Size(5, 20))
    viewer = open_screen(Size(5, 20), engine=engine)
    viewer.feed(painter.update(screen))
    assert viewer.text()[0] == "text"


def test_a_title_cannot_begin_a_sequence(opened: Open) -> None:
    painted = paint(opened("\x1b]2;a\u009b31mb\x07"), SIZE)
    assert "\u009b".encode() not in painted


@pytest.mark.parametrize("alternate", [False, True])
def test_restore_leaves_a_terminal_as_nobody_ever_used_it(
    viewer: Screen, opened: Open, alternate: bool
) -> None:
    screen = opened(b"\x1b[?1049hfull" if alternate else b"inline")
    screen.feed(
        b"\x1b[?1h\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[?1004h\x1b[>7u\x1b=\x1b[5 q\x1b[?25l\x1b[?7l\x1b[2;5r"
    )
    painter = Painter(SIZE)
    viewer.feed(prepare() + painter.update(screen) + b"\x1b[31munfinished\x1b]0;x")
    viewer.feed(painter.restore())
    assert viewer.modes == Modes(private=frozenset({7}))
    assert (viewer.cursor.visible, viewer.cursor.shape) == (True, 0)
    viewer.feed(b"\r\n" * 24 + b"$ ")
    assert viewer.text()[-1] == "$"
    assert viewer.cells()[-1][0].style == open_screen(SIZE).cells()[0][0].style


def test_restore_without_knowing_the_program_leaves_the_alternate_screen(viewer: Screen) -> None:
    viewer.feed(restore())
    assert viewer.modes == Modes(private=frozenset({7}))
    assert viewer.cursor == Cursor(23, 0)


def as_qterminal_reads(output: bytes) -> bytes:
    """It knows no kitty keyboard, and prints `99u` of `CSI < 99 u`."""
    return re.sub(rb"\x1b\[[<=>?]([0-9;]*u)", rb"\1", output)


@pytest.mark.parametrize("alternate", [False, True])
def test_what_a_terminal_prints_of_keyboard_flags_is_not_seen(
    opened: Open, engine: str, alternate: bool
) -> None:
    screen, viewer = opened(b"one\r\ntwo"), open_screen(SIZE, engine=engine)
    painter = Painter(SIZE)
    viewer.feed(b"$ muster attach\r\n" + b"\x1b[?1049h\x1b[H" * alternate)
    for painted in (paint(screen, SIZE), painter.update(screen)):
        viewer.feed(as_qterminal_reads(painted.replace(b"\x1b[?1047l", b"")))
        assert viewer.text() == screen.text()
    viewer.feed(as_qterminal_reads(restore(Modes(alternate=alternate))))
    left = "$ muster attach" if alternate else "two"  # of the others the lowest line is made free
    assert [line for line in viewer.text() if line] == [left]
