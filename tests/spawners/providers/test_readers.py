"""What is read from the CLIs' streams, cut anywhere and spoilt in every way."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from spawners.providers.base import Opening
from spawners.providers.jsonlines import MAX_LINE, JsonLines
from spawners.providers.registry import BUILTIN
from spawners.providers.tally import Outcome, Tally
from spawners.providers.text import MAX_TEXT


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def read(provider: str, data: bytes, size: int = 65536) -> Outcome | None:
    dialogue, tally = BUILTIN.get(provider).dialogue(Opening()), Tally()
    heard = [dialogue.feed(data[start : start + size]) for start in range(0, len(data), size)]
    tally.take_all(event for events in heard for event in events)
    return tally.outcome if any(heard) else None


CLAUDE_INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "tools": []}
CLAUDE_DONE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "PONG",
    "session_id": "s-1",
}
CODEX_INIT = {"type": "thread.started", "thread_id": "s-1"}
CODEX_SAID = {"type": "item.completed", "item": {"type": "agent_message", "text": "PONG"}}
CODEX_DONE = {"type": "turn.completed", "usage": {}}
GEMINI_INIT = {"type": "init", "session_id": "s-1", "model": "m"}
GEMINI_SAID = {"type": "message", "role": "assistant", "content": "PO", "delta": True}
GEMINI_MORE = {"type": "message", "role": "assistant", "content": "NG", "delta": True}
GEMINI_DONE = {"type": "result", "status": "success", "stats": {}}

SUCCESS = {
    "claude": lines(CLAUDE_INIT, {"type": "assistant", "message": {}}, CLAUDE_DONE),
    "codex": lines(
        CODEX_INIT,
        {"type": "turn.started"},
        {"type": "error", "message": "Reconnecting... 1/5"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "let me look"}},
        {"type": "item.completed", "item": {"type": "command_execution", "exit_code": 1}},
        CODEX_SAID,
        CODEX_DONE,
    ),
    "gemini": lines(
        GEMINI_INIT,
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": "let me look", "delta": True},
        {"type": "tool_use", "tool_name": "run_shell_command"},
        {"type": "tool_result", "status": "success", "output": "x"},
        {"type": "error", "severity": "warning", "message": "loop detected"},
        GEMINI_SAID,
        GEMINI_MORE,
        GEMINI_DONE,
    ),
}


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize("provider", SUCCESS)
def test_a_good_run_read_in_pieces_of_any_size(provider: str, size: int) -> None:
    wanted = Outcome(session_id="s-1", ready=True, text="PONG", finished=True)

    assert read(provider, SUCCESS[provider], size) == wanted


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
    reader = BUILTIN.get(provider).reader()
    kinds = [
        "system",
        "result",
        "thread.started",
        "item.completed",
        "turn.failed",
        "error",
        "init",
        "message",
    ]
    for kind in [*kinds, "tool_use", "turn.completed"]:
        for value in (None, 1, [], {}, [{}], {"message": 3, "type": "agent_message"}, True):
            names = (
                "subtype",
                "role",
                "item",
                "error",
                "errors",
                "result",
                "session_id",
                "content",
                "status",
            )
            reader.feed(lines(dict.fromkeys(names, value) | {"type": kind, "is_error": value}))


@pytest.mark.parametrize(
    ("provider", "data", "error"),
    [
        (
            "claude",
            lines(CLAUDE_INIT, CLAUDE_DONE | {"is_error": True, "result": "API Error: 400"}),
            "API Error: 400",
        ),
        (
            "claude",
            lines({"type": "result", "subtype": "error_max_turns", "errors": ["too", "many"]}),
            "too; many",
        ),
        ("claude", lines({"type": "result", "subtype": "error_during_execution"}), "error_during_execution"),
        ("codex", lines(CODEX_INIT, {"type": "turn.failed", "error": {"message": "no"}}), "no"),
        ("codex", lines({"type": "error", "message": "first"}, {"type": "turn.failed"}), "first"),
        (
            "gemini",
            lines(GEMINI_INIT, {"type": "result", "status": "error", "error": {"message": "no"}}),
            "no",
        ),
        (
            "gemini",
            lines({"type": "error", "message": "first"}, {"type": "result", "status": "error"}),
            "first",
        ),
    ],
)
def test_a_failure_is_told_in_the_cli_s_own_words(provider: str, data: bytes, error: str) -> None:
    outcome = read(provider, data)

    assert outcome is not None
    assert (outcome.error, outcome.text, outcome.finished) == (error, None, True)


@pytest.mark.parametrize("provider", SUCCESS)
def test_a_run_that_was_cut_short_is_ready_but_not_finished(provider: str) -> None:
    first = SUCCESS[provider].splitlines(keepends=True)[0]

    assert read(provider, first) == Outcome(session_id="s-1", ready=True)


def test_a_last_line_without_its_newline_is_not_believed() -> None:
    assert read("claude", lines(CLAUDE_INIT, CLAUDE_DONE)[:-1]) == Outcome(session_id="s-1", ready=True)


@pytest.mark.parametrize(
    ("provider", "data"),
    [
        ("claude", lines(CLAUDE_DONE | {"result": "x" * 1_000_000})),
        (
            "codex",
            lines({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 1_000_000}}),
        ),
        ("gemini", lines(*[GEMINI_SAID | {"content": "x" * 1000}] * 1000, GEMINI_DONE)),
    ],
)
def test_a_long_answer_is_clipped(provider: str, data: bytes) -> None:
    outcome = read(provider, data)

    assert outcome is not None
    assert outcome.text == "x" * (MAX_TEXT - 1) + "…"


def test_an_answer_can_be_stored_anywhere() -> None:
    outcome = read("claude", b'{"type":"result","subtype":"success","result":"a\\u0000b\\ud800c"}\n')

    assert outcome is not None
    assert outcome.text == "a\ufffdb?c"


def test_a_line_over_the_limit_is_skipped_and_the_next_is_read() -> None:
    reader = JsonLines(max_line=20)

    assert list(reader.feed(b'{"a": "' + b"x" * 10)) == []
    assert list(reader.feed(b"x" * 100)) == []
    assert list(reader.feed(b'x"}\n{"b": 1}\n{"c')) == [{"b": 1}]
    assert list(reader.feed(b'": 2}\n')) == [{"c": 2}]


@pytest.mark.parametrize("provider", ["claude", "gemini"])
def test_memory_is_bounded_whatever_is_said(provider: str) -> None:
    reader = BUILTIN.get(provider).reader()
    said = lines(GEMINI_SAID | {"content": "x" * 100_000})
    tracemalloc.start()
    try:
        for _ in range(100):
            reader.feed(said)
        for number in range(40):
            reader.feed(b"{%d" % number + b"x" * 1_000_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < MAX_LINE + 2_000_000


def test_an_answer_in_many_pieces_is_not_kept_beyond_what_is_shown() -> None:
    reader = BUILTIN.get("gemini").reader()
    said = lines(GEMINI_SAID | {"content": "x" * 1000})
    tracemalloc.start()
    try:
        for _ in range(5000):
            reader.feed(said)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 10 * MAX_TEXT


def test_a_line_of_the_limit_is_read() -> None:
    assert list(JsonLines(max_line=8).feed(b'{"a": 1}\n{"ab": 1}\n')) == [{"a": 1}]


def test_a_command_s_output_means_nothing() -> None:
    assert read("command", SUCCESS["claude"]) is None
