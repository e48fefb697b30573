"""What an agent may do to a viewer's terminal, and what is kept from it."""

from __future__ import annotations

import pytest

from orchestrator.cli.viewer.own_screen import OwnScreen

PAINTED = b"\x1b[?1047l"
"""Every painting says which of the two screens the program is on."""


def shown(*pieces: bytes, first: bytes = PAINTED) -> tuple[bytes, bool]:
    screen = OwnScreen()
    screen.feed(first)
    data = b"".join(screen.feed(piece) for piece in pieces)
    return data, screen.stale


@pytest.mark.parametrize(
    "data",
    [
        b"plain \xff\xfe text",
        b"\x1b[1;31mred\x1b[0m\x1b[2J\x1b[H\x1b[K",
        b"\x1b[?25l\x1b[?1006h\x1b[?2004h\x1b[?2026h",
        b"\x1b]0;t\x07\x1b]8;;http://x\x1b\\",
        b"\x1b[?1049$p\x1b7\x1b8\x1bM\x1b(0",
    ],
)
def test_everything_else_passes_unchanged(data: bytes) -> None:
    assert shown(data) == (data, False)


@pytest.mark.parametrize("data", [b"\x1b[3J", b"\x1b[8;50;50t", b"\x1b[22;0;0t", b"\x1b[23t"])
def test_scrollback_window_and_title_stack_are_the_viewers_own(data: bytes) -> None:
    assert shown(b"a" + data + b"b") == (b"ab", False)


@pytest.mark.parametrize("mode", [b"47", b"1047", b"1049"])
def test_a_switch_is_kept_and_asks_for_a_painting(mode: bytes) -> None:
    assert shown(b"a\x1b[?%shb" % mode) == (b"a\x1b[2Jb", True)
    assert shown(b"a\x1b[?%slb" % mode, first=b"\x1b[?1049h") == (b"ab", True)


def test_there_and_back_in_one_piece_asks_for_a_painting_too() -> None:
    assert shown(b"\x1b[?1049hmess\x1b[?1049l")[1]


def test_a_painting_of_the_screen_that_is_shown_asks_for_no_other() -> None:
    assert shown(b"\x1b[?1047l\x1b[Htext") == (b"\x1b[Htext", False)
    assert shown(b"\x1b[?1049h\x1b[Htext", first=b"\x1b[?1049h") == (b"\x1b[Htext", False)


def test_other_modes_in_the_same_sequence_are_passed_on() -> None:
    assert shown(b"\x1b[?1049;25;1h") == (b"\x1b[2J\x1b[?25;1h", True)


def test_a_reset_resets_only_what_is_shown() -> None:
    assert shown(b"\x1bc") == (b"\x1b[!p\x1b[H\x1b[2J", True)


@pytest.mark.parametrize("cut", range(1, 8))
def test_sequences_are_known_in_pieces(cut: int) -> None:
    whole = b"\x1b[?1049hx"

    assert shown(whole[:cut], whole[cut:]) == (b"\x1b[2Jx", True)


def test_nothing_is_held_back_for_good() -> None:
    screen = OwnScreen()

    assert screen.feed(b"a\x1b") + screen.feed(b"[") + screen.feed(b"1m") == b"a\x1b[1m"
