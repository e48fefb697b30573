"""A few lines of each CLI's stream, written by hand: every provider with a stream has an entry in each table.

What the CLIs really say is in `tests/golden/providers/`.
"""

from __future__ import annotations

from streams import lines

from spawners.providers.tally import Outcome

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
"""A run of the session `s-1` that ends well with the answer PONG, whatever went wrong on the way."""

FAILURES: list[tuple[str, bytes, str]] = [
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
    ("gemini", lines(GEMINI_INIT, {"type": "result", "status": "error", "error": {"message": "no"}}), "no"),
    ("gemini", lines({"type": "error", "message": "first"}, {"type": "result", "status": "error"}), "first"),
]
"""Provider, a run that fails, and the words for it."""

LONG: list[tuple[str, bytes]] = [
    ("claude", lines(CLAUDE_DONE | {"result": "x" * 1_000_000})),
    ("codex", lines({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 1_000_000}})),
    ("gemini", lines(*[GEMINI_SAID | {"content": "x" * 1000}] * 1000, GEMINI_DONE)),
]
"""Provider, and an answer of a million `x`."""

CHATTER = {
    "claude": lines({"type": "assistant", "message": {"content": [{"type": "text", "text": "x" * 100_000}]}}),
    "codex": lines({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 100_000}}),
    "gemini": lines(GEMINI_SAID | {"content": "x" * 100_000}),
}
"""What a CLI may say any number of times in one turn."""

STARTED = Outcome(session_id="s-1", ready=True)
"""What the first line of `SUCCESS` comes to, save for the model."""
