"""What becomes of a text on its way into a terminal, and how it is recognised on a screen."""

from __future__ import annotations

import pytest

from spawners.launch import Size
from spawners.message import Seen, Unsendable, clean, pasted, see, stands
from spawners.providers.manifest import load
from spawners.screen.base import Modes
from spawners.screen.engines import open_screen

PASTE = Modes(private=frozenset({2004}))


def screen(output: str) -> Seen:
    shown = open_screen(Size(rows=10, columns=40))
    shown.feed(output.encode())
    return see(shown, len(output))


EMPTY = screen("> ")


def test_line_breaks_become_one_kind_and_the_last_is_left_out() -> None:
    assert clean("a\r\nb\tc\n") == "a\nb\tc"
    assert clean("a\n\n") == "a\n"


@pytest.mark.parametrize("text", ["", " \n", "a\x1bb", "a\rb", "a\0", "a\x7f", "a\x9bb", "a\ud800"])
def test_what_a_program_would_act_on_is_refused(text: str) -> None:
    with pytest.raises(Unsendable):
        clean(text)


def test_a_paste_is_bracketed_where_the_program_asked_for_it() -> None:
    assert pasted("a\né", PASTE, canonical=False) == "\x1b[200~a\ré\x1b[201~".encode()
    assert pasted("a", Modes(), canonical=False) == b"a"
    assert pasted("a\nb", Modes(), canonical=True) == b"a\nb"


def test_lines_that_would_each_be_submitted_are_refused() -> None:
    with pytest.raises(Unsendable, match="one line"):
        pasted("a\nb", Modes(), canonical=False)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("hello", "> hello"),
        ("hello wörld 漢字 😀", "> hello wörld 漢字 😀"),
        ("one\ntwo", "> one\r\n  two"),
        ("one\n\ntwo\n", "> one\r\n\r\n  two\r\n"),
        ("x" * 70, "> " + "x" * 38 + "\r\n  " + "x" * 32),
        ("word " * 12 + "end", "│ > " + "word " * 6 + "│\r\n│   " + "word " * 6 + "end"),
        ("tab\there", "> tab     here"),
    ],
)
def test_a_text_is_seen_where_the_cursor_stands_behind_it(text: str, output: str) -> None:
    assert stands(text, EMPTY, screen(output), None)


@pytest.mark.parametrize(
    "output",
    ["> ", "> hell", "hello\r\n> ", "> hello and more", "> hello\r\n---\x1b[3H"],
)
def test_a_text_is_not_seen_where_the_cursor_stands_elsewhere(output: str) -> None:
    assert not stands("hello", EMPTY, screen(output), None)


def test_what_stood_there_before_is_not_the_text() -> None:
    before = screen("Proceed? (y) y")

    assert not stands("y", before, before, None)


def test_what_a_cli_shows_for_a_long_paste_counts_as_the_text() -> None:
    long = "\n".join(f"line {number}" for number in range(60))
    now = screen("❯ [Pasted text #1 +59 lines]")

    assert stands(long, screen("❯ "), now, load("claude"))
    assert not stands(long, screen("❯ "), now, None)
    assert not stands(long, screen("❯ "), now, load("codex"))
