"""What is read from the CLIs' streams, cut anywhere and spoilt in every way."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from samples import CHATTER, CLAUDE_DONE, CLAUDE_INIT, FAILURES, LONG, STARTED, SUCCESS
from streams import SIZES, heard, lines, read, take_all

from spawners.providers.base import Opening
from spawners.providers.jsonlines import MAX_LINE, JsonLines
from spawners.providers.registry import BUILTIN
from spawners.providers.tally import Tally
from spawners.providers.text import MAX_TEXT


@pytest.mark.parametrize("provider", SUCCESS)
def test_a_good_run_is_read_in_pieces_of_any_size(provider: str) -> None:
    ran = read(provider, SUCCESS[provider])

    assert (ran.session_id, ran.ready, ran.finished) == ("s-1", True, True)
    assert (ran.text, ran.error, ran.failure) == ("PONG", None, None)
    for size in SIZES:
        assert heard(provider, SUCCESS[provider], size) == heard(provider, SUCCESS[provider])


@pytest.mark.parametrize("provider", SUCCESS)
def test_noise_between_the_lines_changes_nothing(provider: str) -> None:
    noise = (
        b'warning: \xff\xfe\n{"half": \n[1]\n"text"\n{"type": 7}\n{"type": ["init"]}\n\n'
        + b'{"a":' * 100_000
        + b"\n"
    )
    noisy = noise.join([b"", *SUCCESS[provider].splitlines(keepends=True)])

    assert read(provider, noisy) == read(provider, SUCCESS[provider])


@pytest.mark.parametrize("provider", SUCCESS)
def test_fields_of_the_wrong_type_raise_nothing(provider: str) -> None:
    """Every field of a good run, one after the other, and the fields in it, with values it never has."""
    for line in SUCCESS[provider].splitlines():
        for spoilt in spoilings(json.loads(line)):
            take_all(Tally(), heard(provider, lines(spoilt)))


def spoilings(value: Any) -> Iterator[Any]:
    """`value` with one thing in it exchanged for one of another type, in every way."""
    yield from (None, 1, "x", [], {}, [{}], [None], {"message": 3}, True, -1.5)
    if isinstance(value, dict):
        for key, inside in value.items():
            yield {name: kept for name, kept in value.items() if name != key}
            yield from ({**value, key: spoilt} for spoilt in spoilings(inside))
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            yield from ([*value[:place], spoilt, *value[place + 1 :]] for spoilt in spoilings(inside))


@pytest.mark.parametrize(("provider", "data", "error"), FAILURES)
def test_a_failure_is_told_in_the_cli_s_own_words(provider: str, data: bytes, error: str) -> None:
    ran = read(provider, data)

    assert (ran.error, ran.text, ran.finished) == (error, None, True)


@pytest.mark.parametrize("provider", SUCCESS)
def test_a_run_that_was_cut_short_is_ready_but_not_finished(provider: str) -> None:
    first = SUCCESS[provider].splitlines(keepends=True)[0]

    ran = read(provider, first)
    assert replace(ran, model=None, session_id=ran.session_id or "s-1") == STARTED
    assert ran.failure


def test_a_last_line_without_its_newline_is_not_believed() -> None:
    assert read("claude", lines(CLAUDE_INIT, CLAUDE_DONE)[:-1]) == STARTED


@pytest.mark.parametrize(("provider", "data"), LONG)
def test_a_long_answer_is_clipped(provider: str, data: bytes) -> None:
    assert read(provider, data).text == "x" * (MAX_TEXT - 1) + "…"


def test_an_answer_can_be_stored_anywhere() -> None:
    said = b'{"type":"result","subtype":"success","result":"a\\u0000b\\ud800c"}\n'

    assert read("claude", said).text == "a\ufffdb?c"


def test_a_line_over_the_limit_is_skipped_and_the_next_is_read() -> None:
    reader = JsonLines(max_line=20)

    assert list(reader.feed(b'{"a": "' + b"x" * 10)) == []
    assert list(reader.feed(b"x" * 100)) == []
    assert list(reader.feed(b'x"}\n{"b": 1}\n{"c')) == [{"b": 1}]
    assert list(reader.feed(b'": 2}\n')) == [{"c": 2}]


@pytest.mark.parametrize("provider", CHATTER)
def test_memory_is_bounded_whatever_is_said(provider: str) -> None:
    dialogue, tally = BUILTIN.get(provider).dialogue(Opening()), Tally()
    tracemalloc.start()
    try:
        for _ in range(100):
            take_all(tally, dialogue.feed(CHATTER[provider]))
        for number in range(40):
            take_all(tally, dialogue.feed(b"{%d" % number + b"x" * 1_000_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < MAX_LINE + 2_000_000


def test_a_line_of_the_limit_is_read() -> None:
    assert list(JsonLines(max_line=8).feed(b'{"a": 1}\n{"ab": 1}\n')) == [{"a": 1}]


def test_a_command_s_output_means_nothing() -> None:
    assert heard("command", SUCCESS["claude"]) == []
