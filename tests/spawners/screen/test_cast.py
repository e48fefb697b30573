"""Recordings as asciicast v3, held to the text of its specification."""

from __future__ import annotations

import json

import pytest
from screen_fixtures import RECORDINGS, SIZE, Open, recording

from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.cast import cast

CODES = {"o", "i", "r", "m", "x"}


def events(lines: list[str]) -> list[tuple[float, str, str]]:
    """The event stream, every line of it checked against the specification."""
    header = json.loads(lines[0])
    assert header["version"] == 3
    assert {"cols", "rows"} <= set(header["term"]) <= {"cols", "rows", "type", "version", "theme"}
    found = []
    for line in lines[1:]:
        assert line.endswith("\n")
        assert line.count("\n") == 1
        interval, code, data = json.loads(line)
        assert isinstance(interval, int | float)
        assert interval >= 0
        assert code in CODES
        assert isinstance(data, str)
        found.append((interval, code, data))
    return found


def chunk(offset: int, data: bytes, at_ms: int = 0, stream: Stream = Stream.PTY) -> Chunk:
    return Chunk(offset, stream, data, at_ms)


def test_the_header_says_what_is_known() -> None:
    (line,) = cast([], Size(24, 80), title="T", command="vim x", started_ms=1_700_000_000_900)
    assert json.loads(line) == {
        "version": 3,
        "term": {"cols": 80, "rows": 24, "type": "xterm-256color"},
        "timestamp": 1_700_000_000,
        "command": "vim x",
        "title": "T",
    }
    (line,) = cast([], Size(24, 80))
    assert set(json.loads(line)) == {"version", "term"}


def test_intervals_are_relative_to_the_event_before() -> None:
    items = [chunk(0, b"a", 1_250), Resized(1, Size(30, 100), 1_500), chunk(1, b"b", 3_000)]
    lines = list(cast(items, SIZE, started_ms=1_000, exit_code=0))
    assert events(lines) == [(0.25, "o", "a"), (0.25, "r", "100x30"), (1.5, "o", "b"), (0, "x", "0")]


def test_a_clock_that_was_set_back_costs_no_time() -> None:
    lines = list(
        cast([chunk(0, b"a", 5_000), chunk(1, b"b", 2_000), chunk(2, b"c", 5_500)], SIZE, started_ms=4_000)
    )
    assert [interval for interval, _, _ in events(lines)] == [1.0, 0, 0.5]


def test_without_a_start_it_begins_with_the_first_output() -> None:
    assert [
        event[0] for event in events(list(cast([chunk(0, b"a", 9_000), chunk(1, b"b", 9_100)], SIZE)))
    ] == [0, 0.1]


def test_characters_that_were_cut_come_whole() -> None:
    output = "a漢👍".encode()
    items = [chunk(at, output[at : at + 1], 100 * at) for at in range(len(output))]
    assert "".join(data for _, _, data in events(list(cast(items, SIZE)))) == "a漢👍"


def test_bytes_that_are_no_characters_are_replaced() -> None:
    lines = list(cast([chunk(0, b"a\xffb"), chunk(3, b"\xe6\xbc")], SIZE))
    assert "".join(data for _, _, data in events(lines)) == "a\ufffdb\ufffd"


def test_a_gap_is_a_marker_and_joins_nothing() -> None:
    lines = list(cast([chunk(0, b"a\xe6", 10), Gap(2, 12), chunk(12, b"\xbc\xa2b", 20)], SIZE))
    assert [(code, data) for _, code, data in events(lines)] == [
        ("o", "a"),
        ("o", "\ufffd"),
        ("m", "10 bytes of output are missing"),
        ("o", "\ufffd\ufffdb"),
    ]


def test_a_resize_to_the_same_size_and_other_streams_are_left_out() -> None:
    items = [Resized(0, SIZE, 1), chunk(0, b"err", 2, Stream.STDERR), Resized(3, SIZE, 3)]
    assert events(list(cast(items, SIZE))) == []


@pytest.mark.parametrize("name", RECORDINGS)
def test_playing_it_shows_the_session(name: str, opened: Open) -> None:
    output = recording(name).output
    items = [chunk(at, output[at : at + 100], at) for at in range(0, len(output), 100)]
    played = opened()
    for _, code, data in events(list(cast(items, SIZE, exit_code=1))):
        if code == "o":
            played.feed(data.encode())
    assert played.cells() == opened(output).cells()
