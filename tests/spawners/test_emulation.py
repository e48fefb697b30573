"""A terminal emulated from its files: any time, from a rotated spool too, with replies where they belong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spawners.emulation import Emulation
from spawners.keeper import keys, modes, protocol, spool, terminal
from spawners.launch import Size
from spawners.screen.engines import open_screen
from spawners.screen.unfinished import LONGEST, unfinished
from spawners.spool import Spool

GIB = 1024**3
CURSOR = b"\x1b[6n"


class Files:
    """An agent's terminal files as a keeper writes them."""

    def __init__(self, folder: Path, size: Size | None = None, limit: int = 64 << 20) -> None:
        size = size or Size()
        self.directory = str(folder)
        self.terminal = terminal.Terminal(self.directory, {"rows": size.rows, "columns": size.columns})
        self.spool = spool.Spool(self.directory, limit, GIB)
        self.spool.before_delete = self.terminal.before_delete

    def write(self, data: bytes) -> None:
        self.spool.append(protocol.PTY, data)

    def resize(self, size: Size) -> None:
        self.terminal.resize(size.rows, size.columns, self.spool.end)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Callable[..., Files]]:
    made: list[Files] = []

    def make(**fields: object) -> Files:
        made.append(Files(tmp_path, **fields))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for item in made:
        item.terminal.close_slave()
        item.spool.close_segment()


# ---- following


def test_it_follows_bytes_and_sizes_however_often_it_looks(files: Callable[..., Files]) -> None:
    written, dice = files(size=Size(5, 20)), random.Random(3)
    often, rarely = Emulation(written.directory), Emulation(written.directory)
    for number in range(300):
        if number % 40 == 39:
            written.resize(Size(dice.randrange(3, 9), dice.randrange(10, 30)))
        written.write(b"line %d \x1b[3%dm colour\r\n" % (number, number % 8))
        often.catch_up()
        often.catch_up()
    rarely.catch_up()

    assert often.screen.size == rarely.screen.size
    assert often.screen.cells() == rarely.screen.cells()
    assert "line 299" in "".join(often.screen.text())


def test_a_size_after_the_last_output_counts(files: Callable[..., Files]) -> None:
    written = files(size=Size(5, 20))
    written.write(b"text")
    emulation = Emulation(written.directory)
    emulation.catch_up()
    written.resize(Size(7, 30))
    emulation.catch_up()
    assert emulation.screen.size == Size(7, 30)


def test_it_stops_where_it_is_told(files: Callable[..., Files]) -> None:
    written = files()
    written.write(b"one\r\ntwo\r\n")
    emulation = Emulation(written.directory)
    emulation.catch_up(5)
    assert (emulation.offset, emulation.behind) == (5, 5)
    assert emulation.screen.text()[:2] == ["one", ""]


# ---- replies


@pytest.mark.parametrize("noise", [0, 10, 5000, 300_000])
@pytest.mark.parametrize("look_first", [False, True])
def test_each_reply_is_given_for_its_own_range(
    files: Callable[..., Files], noise: int, look_first: bool
) -> None:
    written, ranges = files(), []
    for row in (1, 2, 3):
        start = written.spool.end
        written.write(b"\x1b[%dH" % row + CURSOR + b"n" * noise)
        ranges.append((start, written.spool.end))
    emulation = Emulation(written.directory)
    if look_first:
        emulation.catch_up()

    # The first query was answered by somebody else, before there was an emulation.
    assert emulation.replies(*ranges[1]) == b"\x1b[2;1R"
    assert emulation.replies(*ranges[1]) == b""
    assert emulation.replies(*ranges[2]) == b"\x1b[3;1R"


@pytest.mark.parametrize("query", [CURSOR, b"\x1b[c", b"\x1b]11;?\x1b\\", b"\x1b[?2026$p"])
def test_a_query_that_was_cut_is_replied_to_once(files: Callable[..., Files], query: bytes) -> None:
    written = files()
    emulation = Emulation(written.directory)
    for cut in range(1, len(query)):
        start = written.spool.end
        written.write(query[:cut])
        emulation.catch_up()
        upto = start + len(query)
        written.write(query[cut:] + b"what follows")
        emulation.catch_up()
        introducer = b"\x1b[" if query[1:2] == b"[" else b"]"
        assert emulation.replies(start, upto).count(introducer) == 1


def test_a_storm_of_queries_is_bounded(files: Callable[..., Files]) -> None:
    written = files()
    written.write(CURSOR * 500_000)
    emulation = Emulation(written.directory)
    emulation.catch_up()
    assert len(emulation.replies(0, written.spool.end)) <= 64 * 1024 + 1024 * 8


# ---- a rotated spool


def test_modes_that_were_set_long_ago_are_known(files: Callable[..., Files]) -> None:
    written = files(limit=64 * 1024)
    written.write(
        b"\x1b[?1049h\x1b[?2004h\x1b[?1000;1006h\x1b[?25l\x1b=\x1b]2;a title\x07\x1b[>7u\x1b[?1000l"
    )
    for number in range(20_000):
        written.write(b"\x1b[%d;1Hrow %d" % (number % 24 + 1, number))
    emulation = Emulation(written.directory)
    emulation.catch_up()
    modes = emulation.screen.modes

    assert Spool(written.directory).start > 0
    assert (modes.alternate, modes.bracketed_paste, modes.keypad) == (True, True, True)
    assert modes.private & {1000, 1006} == {1006}
    assert modes.kitty_keyboard == 7
    assert emulation.screen.title == "a title"
    assert not emulation.screen.cursor.visible


@pytest.mark.parametrize(
    "between",
    [b"\x1bc", b"\x1b[?1049l\x1b[?2004l\x1b[?1006l\x1b[<u\x1b>\x1b]2;\x07", b"\x1b[?1049;2004l\x1bc"],
)
def test_modes_that_were_reset_since_are_not(files: Callable[..., Files], between: bytes) -> None:
    written = files(limit=64 * 1024)
    written.write(
        b"\x1b[?1049h\x1b[?2004h\x1b[?1006h\x1b[>7u\x1b=\x1b]2;a title\x07" + between + b"x" * 200_000
    )
    emulation = Emulation(written.directory)
    emulation.catch_up()
    modes = emulation.screen.modes

    assert (modes.alternate, modes.bracketed_paste, modes.keypad) == (False, False, False)
    assert (modes.kitty_keyboard, emulation.screen.title) == (0, "")


CUT = [
    b"\x1b[?1049h",
    b"\x1b[?1000;2004h",
    b"\x1b]2;title\x07",
    b"\x1b[>7u",
    b"\x1b[38;5;120m",
    "é中😀".encode(),
]


@pytest.mark.parametrize("unit", CUT)
def test_a_sequence_or_character_that_rotation_cuts_stays_whole(unit: bytes) -> None:
    truth = open_screen(Size())
    truth.feed(unit + b"after")
    for cut in range(1, len(unit)):
        scan, behind, before = modes.ModeScan(), open_screen(Size()), open_screen(Size())
        scan.scan(unit[:cut])
        behind.feed(scan.prelude() + unit[cut:] + b"after")
        assert truth.text()[0].endswith(behind.text()[0])
        assert behind.text()[0].replace("é", "").replace("中", "").replace("😀", "") == "after"
        scan.scan(unit[cut:])
        before.feed(scan.prelude() + b"after")
        for screen in (behind, before):
            assert (screen.modes, screen.title) == (truth.modes, truth.title)


def test_a_program_that_repaints_looks_the_same_from_a_rotated_spool(files: Callable[..., Files]) -> None:
    dice = random.Random(5)
    written, truth = files(limit=64 * 1024), open_screen(Size())
    written.write(b"\x1b[?1049h\x1b[?7l")
    truth.feed(b"\x1b[?1049h\x1b[?7l")
    for _ in range(400):
        frame = b"".join(
            b"\x1b[%d;1H\x1b[0;3%dm%s\x1b[K" % (row, dice.randrange(8), bytes(dice.choices(b"abc xyz", k=90)))
            for row in range(1, 25)
        )
        written.write(frame)
        truth.feed(frame)
    emulation = Emulation(written.directory)
    emulation.catch_up()

    assert Spool(written.directory).start > 0
    assert emulation.screen.cells() == truth.cells()
    assert emulation.screen.modes == truth.modes


def test_there_is_one_prelude_beside_a_rotated_spool(files: Callable[..., Files]) -> None:
    written = files(limit=16 * 1024)
    for _ in range(100):
        written.write(b"x" * 4000)
        start = Spool(written.directory).start
        preludes = [file.name for file in Path(written.directory).glob("prelude.*")]
        assert preludes == ([f"prelude.{start}"] if start else [])


# ---- unfinished


UNITS = [
    b"\x1b[38;5;1m",
    b"\x1b]2;title\x07",
    b"\x1b]8;;url\x1b\\",
    b"\x1bPq#0\x1b\\",
    b"\x1b(B",
    b"\x1b7",
    "é中😀".encode(),
]


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_unfinished_is_found_by_both_who_need_it(unit: bytes) -> None:
    for cut in range(1, len(unit)):
        data = b"text\x1b[1mbold" + unit[:cut]
        begun = unfinished(data)
        if unit[:1] == b"\x1b":
            assert begun == unit[:cut], cut
            assert keys.whole_bytes(data) == len(data) - cut
        else:
            assert begun == keys.part_of_character(data)
            assert (data[: len(data) - len(begun)]).decode()
            assert (begun == b"") == (cut in (2, 5))
    assert unfinished(b"text" + unit) == b""
    assert keys.whole_bytes(b"text" + unit) == len(b"text" + unit)


def test_a_string_without_an_end_is_given_up() -> None:
    for data in (b"\x1b]52;c;" + b"A" * 3 * LONGEST, b"\x1bPq" + b"?" * 3 * LONGEST):
        assert unfinished(data) == b""
        assert keys.whole_bytes(data) == len(data)
