"""Transcripts: the lines of shells and of full-screen and inline interfaces, each once."""

from __future__ import annotations

import pytest
from screen_fixtures import RECORDINGS, SIZE, recording

from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.transcript import transcript


def numbered(first: int, end: int, word: str = "line") -> bytes:
    return b"".join(b"%s %d\r\n" % (word.encode(), number) for number in range(first, end))


def read(engine: str, *outputs: bytes | Gap | Resized, since_offset: int = 0) -> list[str]:
    items: list[Chunk | Gap | Resized] = []
    offset = 0
    for output in outputs:
        item = Chunk(offset, Stream.PTY, output) if isinstance(output, bytes) else output
        items.append(item)
        offset = max(offset, item.end)
    return list(transcript(items, SIZE, since_offset=since_offset, engine=engine))


def test_a_shell(engine: str) -> None:
    assert read(engine, numbered(0, 100), b"$ ") == [f"line {number}" for number in range(100)] + ["$"]


def test_a_flood_is_complete(engine: str) -> None:
    lines = 30_000 if engine == "ghostty" else 5_000
    assert read(engine, numbered(0, lines)) == [f"line {number}" for number in range(lines)]


def test_what_was_overwritten_is_given_as_it_was_in_the_end(engine: str) -> None:
    output = b"".join(b"\r%3d %%" % percent for percent in range(101))
    assert read(engine, output + b"\r\nabc\b\b\x1b[Kx") == ["100 %", "ax"]


def test_no_escape_codes(engine: str) -> None:
    assert read(engine, b"\x1b]2;title\x07\x1b[1;31mred\x1b[0m \x1b[4munder\x1b[m") == ["red under"]


def test_a_full_screen_program_is_given_where_it_ran(engine: str) -> None:
    output = b"before\r\n\x1b[?1049h\x1b[Hfirst\x1b[2J\x1b[Hsecond\r\n\x1b[?1049lafter\r\n"
    assert read(engine, output) == ["before", "second", "after"]


def test_a_full_screen_program_that_still_runs_is_given_at_the_end(engine: str) -> None:
    assert read(engine, b"before\r\n\x1b[?1049h\x1b[H", b"full") == ["before", "full"]


def test_the_lines_before_a_full_screen_program_are_not_given_twice(engine: str) -> None:
    output = numbered(0, 5) + b"\x1b[?1049hfull\x1b[?1049l" + numbered(5, 60)
    lines = read(engine, output)
    assert [line for line in lines if line.startswith("line")] == [f"line {number}" for number in range(60)]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_the_switch_of_screens_may_be_cut_anywhere(engine: str, size: int) -> None:
    output = b"before\r\n\x1b[?1049h\x1b[Hfull\x1b[?1049lafter"
    pieces = [output[at : at + size] for at in range(0, len(output), size)]
    assert read(engine, *pieces) == ["before", "full", "after"]


def test_what_an_interface_prints_again_after_erasing_its_history_is_given_once(engine: str) -> None:
    redraw = b"\x1b[2J\x1b[3J\x1b[H"
    output = numbered(0, 60) + (redraw + numbered(0, 61)) + (redraw + numbered(0, 62))
    assert read(engine, output) == [f"line {number}" for number in range(62)]


def test_only_what_came_after_an_offset(engine: str) -> None:
    old, new = numbered(0, 50), numbered(50, 100)
    assert read(engine, old, new, since_offset=len(old)) == [f"line {number}" for number in range(50, 100)]
    assert read(engine, old + new, since_offset=len(old)) == [f"line {number}" for number in range(50, 100)]
    assert read(engine, old, new, since_offset=len(old + new)) == []


def test_a_line_that_changed_after_the_offset_is_given(engine: str) -> None:
    old = b"one\r\ntwo\r\nthree\r\n"
    assert read(engine, old, b"\x1b[2;1HTWO", since_offset=len(old)) == ["TWO"]


def test_a_full_screen_program_that_did_not_change_is_not_given(engine: str) -> None:
    old = b"\x1b[?1049h\x1b[Hfull"
    assert read(engine, old, b"\x1b[1;1H", since_offset=len(old)) == []
    assert read(engine, old, b"\x1b[1;1HF", since_offset=len(old)) == ["Full"]


def test_a_gap_says_what_is_missing(engine: str) -> None:
    assert read(engine, b"one\r\n", Gap(5, 105), b"two") == [
        "[100 bytes of output are missing here]",
        "one",
        "two",
    ]


def test_a_resize_loses_no_line(engine: str) -> None:
    lines = read(
        engine, numbered(0, 40), Resized(0, Size(10, 80)), b"end\r\n", Resized(0, Size(40, 80)), b"last"
    )
    assert lines == [f"line {number}" for number in range(40)] + ["end", "last"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("claude", ["❯ NONCE=4711 please", "● PONG 4711", "❯ RUN=<<seq 30>>", "● Bash(seq 30)"]),
        ("codex-inline", ["› NONCE=4711 please", "• PONG 4711"]),
        ("gemini", [" > NONCE=4711 please", "✦ PONG 4711"]),
        ("shell", ["line   1  the quick brown fox jumps over the lazy dog", "red true colour"]),
    ],
)
def test_each_part_of_a_conversation_is_there_once(engine: str, name: str, lines: list[str]) -> None:
    found = read(engine, recording(name).output)
    for line in lines:
        assert found.count(line) == 1, "\n".join(found)
    assert [line for line in found if line in lines] == lines


@pytest.mark.parametrize("name", RECORDINGS)
def test_it_does_not_depend_on_how_the_output_was_cut(engine: str, name: str) -> None:
    output = recording(name).output
    pieces = [output[at : at + 333] for at in range(0, len(output), 333)]
    assert read(engine, *pieces) == read(engine, output)


def test_while_it_is_followed_settled_lines_come_early_and_once(engine: str) -> None:
    items = [Chunk(0, Stream.PTY, b"one\r\ntwo\r\n$ "), None, None, Chunk(12, Stream.PTY, b"\r\nthree")]
    lines = transcript(items, SIZE, engine=engine)
    assert list(lines) == ["one", "two", "$", "three"]
    lines = transcript(
        iter([*items[:2], Chunk(12, Stream.PTY, b"\x1b[1;1HONE\x1b[3;3H"), None]), SIZE, engine=engine
    )
    assert list(lines) == ["one", "two", "ONE", "$"]
