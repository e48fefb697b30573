"""What every `Screen` promises (the text of `spawners/screen/base.py`), over recorded sessions and fuzz."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from screen_fixtures import RECORDINGS, SIZE, Open, assert_same, recording, state

from spawners.launch import Size
from spawners.screen.base import Cell, Cursor, Screen, Style
from spawners.screen.engines import ENGINES, open_screen

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


def fed(engine: str, output: bytes, piece: int = 0, size: Size = SIZE) -> Screen:
    screen = open_screen(size, engine=engine)
    for start in range(0, len(output), piece or len(output) or 1):
        screen.feed(output[start : start + piece] if piece else output)
    return screen


# ---- recorded sessions of real programs


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_session_looks_as_in_tmux(engine: str, name: str) -> None:
    session = recording(name)
    for point in session.points:
        screen = fed(engine, session.output[: point.offset])

        assert screen.text() == point.text, point.mark
        assert [screen.cursor.row, screen.cursor.column] == point.cursor, point.mark
        assert screen.cursor.visible == point.visible, point.mark
        assert screen.modes.alternate == point.alternate, point.mark
        assert screen.title == point.title, point.mark


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_engines_agree_on_every_cell(name: str) -> None:
    session = recording(name)
    for point in session.points:
        screens = [fed(engine, session.output[: point.offset]) for engine in ENGINES]
        for one, other in pairwise(screens):
            assert_same(one, other)


@pytest.mark.parametrize("piece", [1, 7, 4096])
@pytest.mark.parametrize("name", RECORDINGS)
def test_output_may_be_cut_anywhere(engine: str, name: str, piece: int) -> None:
    output = recording(name).output
    assert_same(fed(engine, output, piece), fed(engine, output))


# ---- characters


def test_wide_characters_take_two_cells(opened: Open) -> None:
    screen = opened("漢x")
    assert screen.cells()[0][:4] == [Cell("漢", wide=True), Cell(""), Cell("x"), Cell()]
    assert screen.text()[0] == "漢x"


def test_a_wide_character_that_does_not_fit_goes_to_the_next_line(opened: Open) -> None:
    assert opened("abc漢", Size(2, 4)).text() == ["abc", "漢"]


def test_half_of_an_overwritten_wide_character_does_not_stay(opened: Open) -> None:
    assert opened("漢字\x1b[1;2Hx").text()[0] == " x字"
    assert opened("漢字\x1b[1;3Hx").text()[0] == "漢x"


@pytest.mark.parametrize(
    ("text", "wide"),
    [("e\u0301", False), (FAMILY, True), ("\U0001f1e9\U0001f1ea", True), ("❤\ufe0f", True), ("👍🏽", True)],
    ids=["combining accent", "joined family", "flag", "emoji presentation", "skin tone"],
)
def test_code_points_that_form_one_character_share_its_cell(opened: Open, text: str, wide: bool) -> None:
    screen = opened(text + "x")
    assert screen.cells()[0][0] == Cell(text, wide=wide)
    assert screen.cursor.column == (3 if wide else 2)
    assert screen.text()[0] == text + "x"


def test_a_joiner_behind_a_narrow_character_joins_nothing_wide(opened: Open) -> None:
    screen = opened("é\u200d\N{WOMAN}y")
    assert screen.cells()[0][:4] == [Cell("é\u200d"), Cell("\N{WOMAN}", wide=True), Cell(""), Cell("y")]


def test_line_drawing(opened: Open) -> None:
    assert opened(b"\x1b(0lqk\x1b(Bq \x1b)0\x0ex\x0fx").text()[0] == "┌─┐q │x"


def test_the_delete_character_is_ignored(opened: Open) -> None:
    assert opened(b"a\x7fb\x00c").text()[0] == "abc"


def test_bytes_that_are_no_utf8_become_the_replacement_character(opened: Open) -> None:
    assert opened(b"a\xffb").text()[0] == "a\N{REPLACEMENT CHARACTER}b"


# ---- styles


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("31", Style(foreground=1)),
        ("97;104", Style(foreground=15, background=12)),
        ("38;5;208;48;5;17", Style(foreground=208, background=17)),
        ("38;2;1;2;3;48;2;4;5;6", Style(foreground=(1, 2, 3), background=(4, 5, 6))),
        ("38:2::1:2:3", Style(foreground=(1, 2, 3))),
        ("1;2;3;4;5;7;8;9", Style(None, None, True, True, True, 1, True, True, True, True)),
        ("4:3", Style(underline=3)),
        ("21", Style(underline=2)),
        ("58;5;1;1", Style(bold=True)),
        ("1;31;0;3", Style(italic=True)),
        ("1;3;4;22;23;24", Style()),
    ],
)
def test_styles(opened: Open, codes: str, style: Style) -> None:
    assert opened(f"\x1b[{codes}mx").cells()[0][0] == Cell("x", style)


def test_erasing_keeps_the_background_and_nothing_else(opened: Open) -> None:
    assert opened("\x1b[1;4;31;44m\x1b[K").cells()[0][5] == Cell(" ", Style(background=4))


# ---- what is beside the cells


def test_title(opened: Open) -> None:
    assert opened(b"\x1b]0;one\x07").title == "one"
    assert opened("\x1b]0;one\x07\x1b]2;zw\u00f6lf\x1b\\").title == "zwölf"
    assert opened(b"\x1b]1;icon\x07").title == ""


def test_alternate_screen_and_back(opened: Open) -> None:
    screen = opened("shell\x1b[?1049h\x1b[Hfull screen")
    assert (screen.modes.alternate, screen.text()[0]) == (True, "full screen")
    screen.feed(b"\x1b[?1049l")
    assert (screen.modes.alternate, screen.text()[0]) == (False, "shell")
    assert screen.cursor == Cursor(0, 5)


@pytest.mark.parametrize("mode", [1, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004])
def test_a_mode_that_viewers_follow(opened: Open, mode: int) -> None:
    screen = opened(f"\x1b[?{mode}h")
    assert screen.modes.private == {7, mode}
    assert screen.modes.bracketed_paste == (mode == 2004)
    screen.feed(b"\x1b[?%dl\x1b[?7l" % mode)
    assert not screen.modes.private


def test_keypad_and_kitty_keyboard(opened: Open) -> None:
    screen = opened(b"\x1b=\x1b[>1u\x1b[>7u")
    assert (screen.modes.keypad, screen.modes.kitty_keyboard) == (True, 7)
    screen.feed(b"\x1b>\x1b[<u")
    assert (screen.modes.keypad, screen.modes.kitty_keyboard) == (False, 1)
    screen.feed(b"\x1b[=2;2u\x1b[?1049h")
    assert screen.modes.kitty_keyboard == 0, "each screen has its own"
    screen.feed(b"\x1b[?1049l")
    assert screen.modes.kitty_keyboard == 3


def test_cursor_visibility_and_shape(opened: Open) -> None:
    assert opened(b"\x1b[?25l").cursor == Cursor(visible=False)
    for shape in range(7):
        assert opened(b"\x1b[%d q" % shape).cursor.shape == shape


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[>c", b"\x1b[>1;0;0c"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"ab\x1b[6n", b"\x1b[1;3R"),
        (b"\x1b[?2004h\x1b[?2004$p", b"\x1b[?2004;1$y"),
        (b"\x1b[?1000$p", b"\x1b[?1000;2$y"),
        (b"\x1b[>q", b"\x1bP>|Muster\x1b\\"),
        (b"\x1b[>5u\x1b[?u", b"\x1b[?5u"),
        (b"\x1b[18t", b"\x1b[8;24;80t"),
        (b"\x1b[14t", b"\x1b[4;384;640t"),
        (b"\x1b]10;?\x1b\\", b"\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\"),
        (b"\x1b]11;?\x1b\\", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        (b"\x1b[?996n", b"\x1b[?997;1n"),
        (b"\x1b[5n\x1b[c", b"\x1b[0n\x1b[?62;22c"),
        (b"\x1b]52;c;?\x07", b""),
        (b"\x1b]2;evil\x07\x1b[21t", b""),
        (b"\x1b_Gi=1,a=q,s=1,v=1,f=24;AAAA\x1b\\", b""),
    ],
)
def test_queries_are_answered_once(opened: Open, query: bytes, reply: bytes) -> None:
    screen = opened(query)
    assert screen.replies() == reply
    assert screen.replies() == b""


def test_replies_that_nobody_fetches_are_bounded(opened: Open) -> None:
    assert len(opened(b"\x1b[c" * 50_000).replies()) <= 64 * 1024


# ---- size


def test_resize(opened: Open) -> None:
    screen = opened("one\r\ntwo\r\nthree")
    screen.resize(Size(10, 40))
    assert screen.size == Size(10, 40)
    assert screen.text() == ["one", "two", "three"] + [""] * 7
    screen.resize(Size(2, 40))
    assert (screen.text(), screen.cursor) == (["two", "three"], Cursor(1, 5))


@pytest.mark.parametrize("size", [Size(0, 80), Size(24, 0), Size(1001, 80), Size(24, -1)])
def test_a_size_that_no_terminal_has_is_refused(opened: Open, size: Size) -> None:
    with pytest.raises(ValueError, match="rows"):
        opened().resize(size)
    with pytest.raises(ValueError, match="rows"):
        opened(size=size)


# ---- history


def test_lines_that_scroll_away_are_counted_and_kept(opened: Open) -> None:
    screen = opened(history_lines=1000)
    for number in range(5000):
        screen.feed(b"line %d\r\n" % number)
    assert screen.scrolled == 5000 - 23
    assert screen.history(screen.scrolled - 2) == ["line 4975", "line 4976"]
    assert screen.history(screen.scrolled) == []
    kept = screen.history(0)
    assert kept == [f"line {number}" for number in range(4977 - len(kept), 4977)]
    assert len(kept) == 1000


def test_a_flood_in_one_piece_is_counted_whole(opened: Open) -> None:
    screen = opened(b"x\r\n" * 20_000, history_lines=100)
    assert (screen.scrolled, len(screen.history(0))) == (20_000 - 23, 100)


def test_the_alternate_screen_has_no_history(opened: Open) -> None:
    screen = opened(b"a\r\n" * 30 + b"\x1b[?1049h" + b"b\r\n" * 100 + b"\x1b[?1049l", history_lines=1000)
    assert (screen.scrolled, screen.history(0)) == (7, ["a"] * 7)


def test_without_a_history_nothing_is_counted(opened: Open) -> None:
    screen = opened(b"a\r\n" * 100)
    assert (screen.scrolled, screen.history(0)) == (0, [])


def test_erasing_the_history_does_not_turn_the_count_back(opened: Open) -> None:
    screen = opened(b"a\r\n" * 50 + b"\x1b[3J" + b"b\r\n" * 10, history_lines=1000)
    assert screen.scrolled == 37
    assert screen.history(27) == ["a"] * 10
    assert len(screen.history(0)) == 10


# ---- whatever a program writes

PIECES = [
    *(b"\x1b[", b"\x1b]0;", b"\x1bP", b"\x1b_G", b"\x1b\\", b"\x07", b"\r\n", b"\n", b"\x18", b"\x1bc"),
    *(b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?6h", b"\x1b[2;5r", b"\x1b[r", b"\x1b[4h", b"\x1b[?7l"),
    *(b"\x1b[?7h", b"\t", b"\xff\xfe"),
    *(b"\x1bM", b"\x1b7", b"\x1b8", b"\x1b#8", b"\x1b[3J", b"\x1b[2J", b"\x1b[K", b"\x1b[1K", b"\x1b[5;5H"),
    *(b"\x1b[99A", b"\x1b[99B", b"\x1b[99C", b"\x1b[99D", b"\x1b[3L", b"\x1b[3M", b"\x1b[4P", b"\x1b[4@"),
    *(b"\x1b[S", b"\x1b[T", b"\x1b[9b", b"\x1b[!p", b"\x1bH", b"\x1b[3g", b"\x1b[Z", b"\x0e", b"\x1b)0"),
    *(b"\x1b[31m", b"\x1b[38:2::1:2:3m", b"\x1b[999999999999999999999m", b"\x1b[" + b"1;" * 99 + b"H"),
    *(b"\x1b[>1u", b"\x1b[<9u", b"\x1b[6n", b"hello", "漢字".encode(), FAMILY.encode(), "e\u0301".encode()),
]  # fmt: skip


def assert_sound(screen: Screen) -> None:
    """What holds of any screen, whatever was written to it."""
    size, cursor, cells, text = screen.size, screen.cursor, screen.cells(), screen.text()
    assert len(cells) == len(text) == size.rows
    assert 0 <= cursor.row < size.rows
    assert 0 <= cursor.column < size.columns
    for row, line in zip(cells, text, strict=True):
        assert len(row) == size.columns
        assert "".join(cell.text for cell in row).rstrip(" ") == line
        for cell, following in pairwise([*row, Cell()]):
            assert cell.wide == (following.text == "")
    state(screen)
    screen.replies(), screen.resume(), screen.history(screen.scrolled - 10)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_a_program_writes_raises(engine: str, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(12):
        size = Size(dice.randint(1, 30), dice.randint(1, 60))
        screen = open_screen(size, history_lines=dice.choice((0, 50)), engine=engine)
        for _ in range(25):
            pieces = [dice.choice(PIECES) for _ in range(15)] + [dice.randbytes(dice.randint(1, 30))]
            dice.shuffle(pieces)
            screen.feed(b"".join(pieces))
            if dice.random() < 0.15:
                screen.resize(Size(dice.randint(1, 30), dice.randint(1, 60)))
            assert_sound(screen)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_damaged_session_raises_nothing(engine: str, name: str) -> None:
    dice = random.Random(name)
    for _ in range(3):
        output = bytearray(recording(name).output)
        for _ in range(100):
            at = dice.randrange(len(output))
            output[at : at + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
        assert_sound(fed(engine, bytes(output)))
