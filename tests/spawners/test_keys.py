"""Keys by name, against what xterm sends (its ctlseqs, "PC-Style Function Keys")."""

from __future__ import annotations

import pytest

from spawners.keys import NAMES, UnknownKey, key_bytes
from spawners.screen.base import Modes

PLAIN = Modes()


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("a", b"a"),
        ("é", "é".encode()),
        ("-", b"-"),
        ("Enter", b"\r"),
        ("return", b"\r"),
        ("Tab", b"\t"),
        ("S-Tab", b"\x1b[Z"),
        ("Esc", b"\x1b"),
        ("escape", b"\x1b"),
        ("Space", b" "),
        ("Backspace", b"\x7f"),
        ("C-Backspace", b"\x08"),
        ("C-c", b"\x03"),
        ("C-C", b"\x03"),
        ("C-[", b"\x1b"),
        ("C-]", b"\x1d"),
        ("C-\\", b"\x1c"),
        ("C-@", b"\0"),
        ("C-Space", b"\0"),
        ("C-?", b"\x7f"),
        ("M-x", b"\x1bx"),
        ("M-C-a", b"\x1b\x01"),
        ("C-M-a", b"\x1b\x01"),
        ("M-Enter", b"\x1b\r"),
        ("M--", b"\x1b-"),
        ("Up", b"\x1b[A"),
        ("End", b"\x1b[F"),
        ("C-Left", b"\x1b[1;5D"),
        ("C-S-Right", b"\x1b[1;6C"),
        ("M-Up", b"\x1b[1;3A"),
        ("PageUp", b"\x1b[5~"),
        ("pgdn", b"\x1b[6~"),
        ("S-Delete", b"\x1b[3;2~"),
        ("Insert", b"\x1b[2~"),
        ("F1", b"\x1bOP"),
        ("F4", b"\x1bOS"),
        ("S-F1", b"\x1b[1;2P"),
        ("F5", b"\x1b[15~"),
        ("F12", b"\x1b[24~"),
    ],
)
def test_a_key_is_what_a_terminal_sends_for_it(key: str, data: bytes) -> None:
    assert key_bytes(key, PLAIN) == data


def test_cursor_keys_follow_the_mode_that_the_program_has_set() -> None:
    application = Modes(private=frozenset({1}))

    assert [key_bytes(key, application) for key in ("Up", "Home", "C-Up", "PageUp")] == [
        b"\x1bOA",
        b"\x1bOH",
        b"\x1b[1;5A",
        b"\x1b[5~",
    ]


def test_a_modified_enter_needs_a_program_that_can_tell_it_from_enter() -> None:
    assert key_bytes("S-Enter", Modes(kitty_keyboard=1)) == b"\x1b[13;2u"
    with pytest.raises(UnknownKey):
        key_bytes("S-Enter", PLAIN)


@pytest.mark.parametrize("key", ["", "C-", "Entr", "F13", "C-1", "S-a", "X-a", "C-é", "\n", "ab", "Ctrl-c"])
def test_what_no_terminal_sends_is_refused_with_how_keys_are_written(key: str) -> None:
    with pytest.raises(UnknownKey, match="C-c, M-x, S-Tab"):
        key_bytes(key, PLAIN)


def test_every_name_has_its_own_bytes() -> None:
    assert len({key_bytes(name, PLAIN) for name in NAMES}) == len(NAMES)
