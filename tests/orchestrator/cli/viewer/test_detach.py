"""The detach keys: what is held back, what is sent on, and every form a terminal may give a key."""

from __future__ import annotations

import pytest

from orchestrator.cli.viewer.detach import DetachKeys
from orchestrator.detach_keys import parse_keys

KEYS = b"\x1dd"
CTRL = b"\x1d"


def typed(*pieces: bytes, keys: bytes = KEYS) -> tuple[list[bytes], bool]:
    filtered = DetachKeys(keys)
    return [filtered.feed(piece) for piece in pieces], filtered.detached


def test_the_sequence_detaches_and_nothing_of_it_is_sent() -> None:
    assert typed(b"ls\r", CTRL, b"d") == ([b"ls\r", b"", b""], True)
    assert typed(b"a\x1ddb") == ([b"a"], True)


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        ([CTRL, b"x"], [b"", b"\x1dx"]),
        ([CTRL, CTRL], [b"", b"\x1d"]),
        ([CTRL, CTRL, b"d"], [b"", b"\x1d", b"d"]),
        ([CTRL, b"\x1b[A"], [b"", b"\x1d\x1b[A"]),
        ([b"\x1d\x1dx"], [b"\x1dx"]),
        ([CTRL, "é".encode()], [b"", "\x1dé".encode()]),
        ([CTRL, b"\x1b[200~d\x1b[201~"], [b"", b"\x1d\x1b[200~d\x1b[201~"]),
    ],
)
def test_what_does_not_complete_it_is_sent_whole(pieces: list[bytes], sent: list[bytes]) -> None:
    assert typed(*pieces) == (sent, False)


def test_everything_else_passes_at_once_and_unchanged() -> None:
    everything = bytes(byte for byte in range(256) if byte != 0x1D)

    assert typed(everything, b"\x1b", b"[") == ([everything, b"\x1b", b"["], False)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\x1b[93;5u", b"d"],
        [b"\x1b[93;5u", b"\x1b[100u"],
        [b"\x1b[57442;5u", b"\x1b[93;5:1u", b"\x1b[93;5:3u", b"\x1b[57442;1:3u", b"\x1b[100;1:1u"],
        [b"\x1b[93;69u", b"\x1b[100;65;100u"],
        [b"\x1b[1098::93;5u", b"\x1b[1074::100u"],
        [b"\x1b[27;5;93~", b"d"],
    ],
    ids=["prefix", "all keys", "events and modifiers", "caps lock and text", "cyrillic", "xterm"],
)
def test_it_is_known_in_the_forms_that_programs_ask_for(pieces: list[bytes]) -> None:
    assert typed(*pieces)[1]


@pytest.mark.parametrize(
    "key",
    [
        b"\x1b[93;7u",
        b"\x1b[93u",
        b"\x1b[93;5:3u",
        b"\x1b[100;5u",
        b"\x1b[97;5u",
        b"\x1b[223;2u",
        b"\x1b[99999999;2u",
    ],
)
def test_other_keys_in_these_forms_are_sent(key: bytes) -> None:
    assert typed(key, b"d") == ([key, b"d"], False)


def test_a_prefix_in_another_form_is_sent_in_that_form() -> None:
    assert typed(b"\x1b[93;5u", b"\x1b[93;5u") == ([b"", b"\x1b[93;5u"], False)
    assert typed(b"\x1b[93;5:1u", b"\x1b[93;5:3u", b"x") == ([b"", b"", b"\x1b[93;5:1u\x1b[93;5:3ux"], False)


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_paste_is_never_taken_for_keys_wherever_it_is_cut(cut: int) -> None:
    paste = b"\x1b[200~\x1dd\x1dd\x1b[201~"
    whole = paste + b"x"
    if cut < 6:
        whole, cut = paste[:6] + paste[6:], 6 + cut  # the start comes in one piece, as keys do

    sent, detached = typed(whole[:cut], whole[cut:], CTRL, b"d")

    assert b"".join(sent) == whole
    assert detached


def test_a_hundred_kilobytes_pasted_pass_whole() -> None:
    paste = b"\x1b[200~" + bytes(range(256)) * 400 + b"\x1b[201~"
    pieces = [paste[at : at + 4095] for at in range(0, len(paste), 4095)]

    sent, detached = typed(*pieces)

    assert (b"".join(sent), detached) == (paste, False)


def test_other_sequences_and_none() -> None:
    assert typed(b"\x10", b"\x11", keys=b"\x10\x11")[1]
    assert typed(b"\x1d", keys=b"\x1d")[1]
    assert typed(b"\x01a\x01", b"a", b"q", keys=b"\x01aq") == ([b"\x01a", b"", b""], True)
    assert typed(b"\x1dd\x1b[93;5u", keys=b"") == ([b"\x1dd\x1b[93;5u"], False)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-] d", b"\x1dd"),
        ("Ctrl-P ctrl-Q", b"\x10\x11"),
        ("ctrl-\\", b"\x1c"),
        ("ctrl-@ D", b"\x00D"),
        ("none", b""),
    ],
)
def test_how_they_are_written(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize(
    "text", ["", "d", "ctrl-[", "ctrl-1", "ctrl-] dd", "none x", "esc", "^]", "ctrl-] é"]
)
def test_what_they_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="ctrl-X"):
        parse_keys(text)
