"""Screens as pages and as coloured text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from screen_fixtures import Open, recording

from spawners.launch import Size
from spawners.screen.html import ansi, html

HOSTILE = "<script>alert(1)</script>&amp;\"'</pre>{rows}%s"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = "pre" if tag in ("pre", "span") else tag

    def handle_data(self, data: str) -> None:
        self.text += data if self._inside == "pre" else ""


def page(text: str) -> _Page:
    parser = _Page()
    parser.feed(text)
    return parser


def test_nothing_that_is_printed_becomes_markup(opened: Open) -> None:
    screen = opened(f"\x1b]2;{HOSTILE}\x07{HOSTILE}\r\n\x1b[31m{HOSTILE}")
    made = html(screen)
    parsed = page(made)
    assert set(parsed.tags) == {"html", "head", "meta", "title", "style", "body", "pre", "span"}
    assert HOSTILE in parsed.text
    assert "<script" not in made


def test_the_page_holds_the_text_of_the_screen(opened: Open) -> None:
    screen = opened(recording("claude").output)
    lines = page(html(screen)).text.strip("\n").split("\n")
    assert [line.rstrip(" ") for line in lines] == "\n".join(screen.text()).strip("\n").split("\n")


def test_styles_become_css(opened: Open) -> None:
    made = html(opened("\x1b[1;31ma\x1b[0;48;2;1;2;3mb\x1b[0;38;5;208mc\x1b[0;7md\x1b[0;4:3;9me\x1b[0m漢"))
    assert '<span style="color:#cd0000;font-weight:bold">a</span>' in made
    assert '<span style="background:#010203">b</span>' in made
    assert '<span style="color:#ff8700">c</span>' in made
    assert '<span style="color:#000000;background:#d0d0d0">d</span>' in made
    assert '<span style="text-decoration:underline line-through wavy">e</span>' in made
    assert '<span class="w">漢</span>' in made
    assert made.count("<span") == made.count("</span>")


def test_ansi_shows_the_same_in_a_terminal(opened: Open) -> None:
    screen = opened(recording("git-log").output)
    viewer = opened()
    viewer.feed(
        ansi(screen).rstrip("\n").replace("\n", "\r\n").encode()
        + b"\x1b[%d;%dH" % (screen.cursor.row + 1, screen.cursor.column + 1)
    )
    assert viewer.cells() == screen.cells()


def test_ansi_is_styles_and_text_only(opened: Open) -> None:
    text = ansi(opened("\x1b]2;t\x07\x1b[1mb漢\u0301\x1b[m \x1b[H", Size(3, 10)))
    assert re.sub(r"\x1b\[[0-9;:]*m", "", text) == "b漢\u0301\n"
