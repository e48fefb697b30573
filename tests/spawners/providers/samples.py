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
QWEN_SAID = {
    "type": "assistant",
    "message": {"id": "m-1", "content": [{"type": "text", "text": "PONG"}], "usage": {"output_tokens": 7}},
}
QWEN_FAILED = {
    "type": "assistant",
    "message": {
        "content": [{"type": "text", "text": "[API Error: 400 no]"}],
        "usage": {"input_tokens": 0, "output_tokens": 0},
    },
}
OPENCODE_STEP = {"type": "step_start", "sessionID": "s-1", "part": {"type": "step-start"}}
OPENCODE_SAID = {"type": "text", "sessionID": "s-1", "part": {"text": "PONG"}}
OPENCODE_DONE = {
    "type": "step_finish",
    "sessionID": "s-1",
    "part": {"reason": "stop", "tokens": {"input": 1, "output": 2, "cache": {"read": 3}}, "cost": 0.5},
}
OPENCODE_TOOL = {
    "type": "tool_use",
    "sessionID": "s-1",
    "part": {"tool": "bash", "callID": "c", "state": {"status": "error", "input": {}, "error": "no"}},
}
COPILOT_INIT = {"type": "session.tools_updated", "data": {"model": "m"}}
COPILOT_USER = {"type": "user.message", "data": {"content": "hi"}}
COPILOT_SAID = {"type": "assistant.message", "data": {"content": "PONG", "toolRequests": []}}
COPILOT_DONE = {"type": "result", "sessionId": "s-1", "exitCode": 0, "usage": {}}
COPILOT_TOOL = {"type": "tool.execution_start", "data": {"toolCallId": "c", "toolName": "bash"}}
COPILOT_TOLD = {
    "type": "tool.execution_complete",
    "data": {
        "toolCallId": "c",
        "success": False,
        "toolTelemetry": {"metrics": {"context_current_tokens": 5, "context_token_limit": 9}},
    },
}

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
    "opencode": lines(
        OPENCODE_STEP,
        {"type": "text", "sessionID": "s-1", "part": {"text": "let me look"}},
        OPENCODE_TOOL,
        OPENCODE_DONE | {"part": {"reason": "tool-calls"}},
        {"type": "error", "sessionID": "s-1", "error": {"name": "E", "data": {"message": "once"}}},
        OPENCODE_STEP,
        OPENCODE_SAID,
        OPENCODE_DONE,
    ),
    "copilot": lines(
        COPILOT_INIT,
        COPILOT_USER,
        {"type": "assistant.message", "data": {"content": "let me look"}},
        COPILOT_TOOL,
        COPILOT_TOLD,
        {"type": "model.call_failure", "data": {"statusCode": 429, "errorMessage": "slow down"}},
        {"type": "assistant.turn_retry", "data": {"reason": "rate_limit"}},
        COPILOT_SAID,
        {"type": "assistant.message", "data": {"content": "by a subagent", "parentToolCallId": "c"}},
        COPILOT_DONE,
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
    ("qwen", lines(CLAUDE_INIT, QWEN_FAILED, CLAUDE_DONE), "API Error: 400 no"),
    (
        "opencode",
        lines(OPENCODE_STEP, OPENCODE_SAID, OPENCODE_DONE | {"part": {"reason": "length"}}),
        "the answer was cut off: it reached the model's limit of tokens",
    ),
    (
        "copilot",
        lines(
            COPILOT_INIT,
            {"type": "session.error", "data": {"message": "no"}},
            COPILOT_DONE | {"exitCode": 1},
        ),
        "no",
    ),
]
"""Provider, a run that fails, and the words for it."""

LONG: list[tuple[str, bytes]] = [
    ("claude", lines(CLAUDE_DONE | {"result": "x" * 1_000_000})),
    ("codex", lines({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 1_000_000}})),
    ("gemini", lines(*[GEMINI_SAID | {"content": "x" * 1000}] * 1000, GEMINI_DONE)),
    ("qwen", lines(CLAUDE_DONE | {"result": "x" * 1_000_000})),
    ("opencode", lines(OPENCODE_STEP, OPENCODE_SAID | {"part": {"text": "x" * 1_000_000}}, OPENCODE_DONE)),
    ("copilot", lines(COPILOT_SAID | {"data": {"content": "x" * 1_000_000}}, COPILOT_DONE)),
]
"""Provider, and an answer of a million `x`."""

CHATTER = {
    "claude": lines({"type": "assistant", "message": {"content": [{"type": "text", "text": "x" * 100_000}]}}),
    "codex": lines({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 100_000}}),
    "gemini": lines(GEMINI_SAID | {"content": "x" * 100_000}),
    "qwen": lines({"type": "assistant", "message": {"content": [{"type": "text", "text": "x" * 100_000}]}}),
    "opencode": lines(OPENCODE_SAID | {"part": {"text": "x" * 100_000}}),
    "copilot": lines(COPILOT_SAID | {"data": {"content": "x" * 100_000}}),
    "aider": b"x" * 100_000 + b"\n",
}
"""What a CLI may say any number of times in one turn."""

STARTED = Outcome(session_id="s-1", ready=True)
"""What the first line of `SUCCESS` comes to, save for the model; copilot names its session last."""
