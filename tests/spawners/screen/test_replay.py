"""Replaying output into a screen: resizes in their places, gaps, overlaps."""

from __future__ import annotations

from screen_fixtures import Open

from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.replay import Replay


def chunk(offset: int, data: bytes, stream: Stream = Stream.PTY) -> Chunk:
    return Chunk(offset, stream, data)


def test_the_offset_is_behind_what_was_fed(opened: Open) -> None:
    replay = Replay(opened())
    replay.feed([chunk(0, b"one "), chunk(4, b"two")])
    assert (replay.offset, replay.screen.text()[0]) == (7, "one two")


def test_a_resize_comes_between_the_bytes_around_it(opened: Open) -> None:
    replay = Replay(opened())
    replay.feed(
        [
            Resized(0, Size(4, 10)),
            chunk(0, b"x" * 15),
            Resized(15, Size(4, 20)),
            chunk(15, b"\r\n" + b"y" * 15),
        ]
    )
    assert replay.screen.size == Size(4, 20)
    assert "y" * 15 in replay.screen.text()


def test_an_overlap_is_fed_once(opened: Open) -> None:
    replay = Replay(opened())
    replay.feed([chunk(0, b"abc"), chunk(1, b"bcde"), chunk(0, b"ab")])
    assert (replay.screen.text()[0], replay.offset) == ("abcde", 5)


def test_a_gap_is_counted_and_ends_the_sequence_that_it_cut(opened: Open) -> None:
    replay = Replay(opened())
    replay.feed([chunk(0, b"a\x1b]0;tit"), Gap(8, 20), chunk(20, b"b"), chunk(25, b"c")])
    assert (replay.screen.text()[0], replay.missed, replay.offset) == ("abc", 16, 26)
    assert replay.screen.title == ""


def test_only_the_terminal_is_replayed(opened: Open) -> None:
    replay = Replay(opened())
    replay.feed([chunk(0, b"out", Stream.STDOUT), chunk(3, b"pty")])
    assert (replay.screen.text()[0], replay.offset) == ("pty", 6)


def test_it_may_begin_in_the_middle(opened: Open) -> None:
    replay = Replay(opened(), offset=100)
    replay.feed([chunk(90, b"0123456789abc")])
    assert (replay.screen.text()[0], replay.missed) == ("abc", 0)
