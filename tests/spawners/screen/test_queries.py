"""The filter of a program's questions: all of them, in any pieces, and nothing else."""

from __future__ import annotations

import random

import pytest
from screen_fixtures import RECORDINGS, recording

from spawners.screen.queries import HELD_BYTES, QueryFilter, asks

QUERIES = [
    b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1bZ",
    b"\x1b[5n", b"\x1b[6n", b"\x1b[?6n", b"\x1b[?15n", b"\x1b[?996n",
    b"\x1b[?2026$p", b"\x1b[4$p", b"\x1b[>q", b"\x1b[>0q", b"\x1b[x", b"\x1b[1x", b"\x1b[2$w",
    b"\x1b[11t", b"\x1b[14t", b"\x1b[14;2t", b"\x1b[16t", b"\x1b[18t", b"\x1b[19t", b"\x1b[20t", b"\x1b[21t",
    b"\x1b[?u", b"\x1b[?4m", b"\x1b[?1;1;0S", b"\x1b[1;1;1;1;5;5*y",
    b"\x1b]4;1;?\x07", b"\x1b]4;1;?;2;?\x1b\\", b"\x1b]5;0;?\x07", b"\x1b]10;?\x1b\\", b"\x1b]11;?\x07",
    b"\x1b]12;?\x07", b"\x1b]19;?\x07", b"\x1b]50;?\x07", b"\x1b]52;c;?\x07", b"\x1b]52;;?\x1b\\",
    b"\x1b]21;foreground=?\x1b\\", b"\x1b]22;?__current__\x1b\\", b"\x1b]60\x1b\\", b"\x1b]61;a\x1b\\",
    b"\x1b]99;i=1:p=?;\x1b\\", b"\x1b]1337;ReportCellSize\x07", b"\x1b]5522;type=read;\x1b\\",
    b"\x1bP+q544e\x1b\\", b"\x1bP+Q41\x1b\\", b"\x1bP$qm\x1b\\", b"\x1bP0$q q\x1b\\",
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", b"\x05",
]  # fmt: skip
NO_QUERIES = [
    b"\x1b[1;2H", b"\x1b[38;5;1m", b"\x1b[?25h", b"\x1b[>4;1m", b"\x1b[>4n", b"\x1b[u", b"\x1b[s",
    b"\x1b[3S", b"\x1b[22;2t", b"\x1b[8;24;80t", b"\x1b[1$r", b"\x1b[!p", b"\x1b[>1u", b"\x1b[<u",
    b"\x1b[2 q", b"\x1b[=1;1u", b"\x1b[?1c", b"\x1b(B", b"\x1b7", b"\x1b8", b"\x1b=", b"\x1bM", b"\x1bc",
    b"\x1b]0;what? is this\x07", b"\x1b]2;why?\x1b\\", b"\x1b]8;;http://a/?q=1\x1b\\", b"\x1b]133;A\x07",
    b"\x1b]4;1;rgb:00/11/22\x07", b"\x1b]11;#ffffff\x07", b"\x1b]52;c;YWJj\x07", b"\x1b]1337;File=a:AAAA\x07",
    b"\x1b]9;a note?\x07", b"\x1b_Ga=T,f=24;a=q\x1b\\", b"\x1bPq#0;2;0;0;0\x1b\\", b"\x1bPtmux;x\x1b\\",
    "é漢🇩🇪".encode(), b"\xff\xfe\x9b6n",
]  # fmt: skip


def filtered(*pieces: bytes) -> bytes:
    queries = QueryFilter()
    return b"".join([*map(queries.feed, pieces), queries.flush()])


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_removed_wherever_it_is_cut(query: bytes) -> None:
    assert filtered(b"ab", *(bytes([byte]) for byte in query), b"cd") == b"abcd"
    for cut in range(len(query) + 1):
        assert filtered(b"ab" + query[:cut], query[cut:] + b"cd") == b"abcd", cut


@pytest.mark.parametrize("query", QUERIES)
def test_data_with_a_query_asks(query: bytes) -> None:
    assert asks(b"text" + query + b"text")
    assert asks(b"text" + query[:-1]) or len(query) == 1


@pytest.mark.parametrize("data", NO_QUERIES)
def test_everything_else_stays_as_it_is(data: bytes) -> None:
    assert not asks(b"text" + data + b"text")
    for cut in range(len(data) + 1):
        assert filtered(b"ab" + data[:cut], data[cut:] + b"cd") == b"ab" + data + b"cd", cut


def test_nothing_but_an_unfinished_sequence_waits() -> None:
    queries = QueryFilter()
    assert queries.feed(b"text\x1b]2;a title that may grow") == b"text\x1b]2;a title that may grow"
    assert queries.feed(b"\x07more\x1b[3") == b"\x07more"
    assert queries.feed(b"1mred") == b"\x1b[31mred"
    assert queries.feed(b"\x1b]52;c;AAAA") == b"\x1b]52;c;AAAA"


def test_what_is_held_is_bounded() -> None:
    queries = QueryFilter()
    flood = b"\x1b]10;" + b"x" * (2 * HELD_BYTES)
    assert queries.feed(flood[:100]) == b""
    assert queries.feed(flood[100:]) == flood
    assert queries.flush() == b""


def test_a_query_inside_an_aborted_sequence_is_found() -> None:
    assert filtered(b"\x1b]0;title\x1b[6n") == b"\x1b]0;title"
    assert filtered(b"\x1b[\x1b[6n") == b"\x1b["


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_session_shows_the_same_without_its_questions(name: str, opened) -> None:
    output = recording(name).output
    dice = random.Random(name)
    queries = QueryFilter()
    pieces, at = [], 0
    while at < len(output):
        size = dice.randint(1, 200)
        pieces.append(queries.feed(output[at : at + size]))
        at += size
    without = b"".join([*pieces, queries.flush()])
    asked, unasked = opened(output), opened(without)

    assert unasked.cells() == asked.cells()
    assert unasked.modes == asked.modes
    assert unasked.replies() == b""
    assert without == filtered(output)
