"""What a spawn request must look like."""

from __future__ import annotations

from typing import Any

import pytest

from relay.core.validation import check_spawn, title_of
from relay.wire.agents import Mode, Placement, SpawnRequest
from relay.wire.errors import ApiError, Code

BAD: list[tuple[dict[str, Any], Code, str]] = [
    ({"argv": []}, Code.INVALID, "argv is empty"),
    ({"argv": [""]}, Code.INVALID, "argv is empty"),
    ({"argv": None}, Code.INVALID, "argv is empty"),
    ({"argv": ["a\0"]}, Code.INVALID, "NUL"),
    ({"prompt": "x"}, Code.INVALID, "not both"),
    ({"prompt": "x", "argv": None}, Code.INVALID, "takes no prompt"),
    ({"provider": "claude"}, Code.INVALID, "give claude a prompt"),
    ({"provider": "claude", "argv": None}, Code.INVALID, "is empty"),
    ({"provider": "claude", "argv": None, "prompt": " "}, Code.INVALID, "is empty"),
    ({"provider": "claude", "argv": None, "prompt": "é" * (2 << 20) + "x"}, Code.TOO_LARGE, "to a file"),
    ({"provider": "../x"}, Code.UNKNOWN_PROVIDER, "cannot be the name"),
    ({"mode": Mode.IN_PROCESS}, Code.INVALID, "use headless, embedded or terminal"),
    ({"mode": Mode.TERMINAL, "stdin": ""}, Code.INVALID, "reads its terminal"),
    ({"mode": Mode.TERMINAL, "size": {"rows": 24, "columns": 80}}, Code.INVALID, "size is for mode embedded"),
    ({"mode": Mode.TERMINAL, "hold": "sometimes"}, Code.INVALID, "hold must be one of always, error, never"),
    ({"mode": Mode.TERMINAL, "on_window_close": "kill"}, Code.INVALID, "onWindowClose must be one of"),
    ({"mode": Mode.TERMINAL, "terminal_fallback": "tmux"}, Code.INVALID, "terminalFallback must be one of"),
    ({"mode": Mode.TERMINAL, "terminal": "a\nb"}, Code.INVALID, "terminal is a name, or an argv"),
    ({"mode": Mode.TERMINAL, "desktop": {"PATH": "/"}}, Code.INVALID, "desktop takes no PATH"),
    ({"mode": Mode.TERMINAL, "desktop": {"DISPLAY": "\0"}}, Code.INVALID, "the value of DISPLAY"),
    ({"mode": Mode.EMBEDDED, "terminal": "kitty"}, Code.INVALID, "terminal is for mode terminal"),
    ({"tab": True}, Code.INVALID, "tab is for mode terminal"),
    ({"mode": Mode.EMBEDDED, "argv": None}, Code.INVALID, "argv is empty"),
    ({"mode": Mode.EMBEDDED, "provider": "claude", "argv": None, "prompt": ""}, Code.INVALID, "is empty"),
    ({"mode": Mode.EMBEDDED, "stdin": ""}, Code.INVALID, "reads its terminal"),
    ({"mode": Mode.EMBEDDED, "stdin_live": True}, Code.INVALID, "reads its terminal"),
    ({"mode": Mode.EMBEDDED, "size": {"rows": 24}}, Code.INVALID, "rows and columns"),
    ({"mode": Mode.EMBEDDED, "size": {"rows": 24, "columns": 80, "x": 1}}, Code.INVALID, "nothing else"),
    ({"mode": Mode.EMBEDDED, "size": {"rows": 0, "columns": 80}}, Code.INVALID, "rows must be from 1"),
    ({"mode": Mode.EMBEDDED, "size": {"rows": 1, "columns": 1001}}, Code.INVALID, "not 1001"),
    ({"mode": Mode.EMBEDDED, "sizing": "largest"}, Code.INVALID, "active, smallest"),
    ({"size": {"rows": 24, "columns": 80}}, Code.INVALID, "size is for mode embedded"),
    ({"memory_bytes": 1024}, Code.INVALID, "memoryBytes must be at least 16777216"),
    ({"cpus": 0.0}, Code.INVALID, "cpus must be more than 0"),
    ({"cpus": float("inf")}, Code.INVALID, "cpus must be more than 0"),
    ({"cpus": 1e9}, Code.INVALID, "at most 8192"),
    ({"restart": "sometimes"}, Code.INVALID, "restart must be"),
    ({"worktree": "main"}, Code.INVALID, "worktree is not supported"),
    ({"on_window_close": "stop"}, Code.INVALID, "onWindowClose is for mode terminal"),
    ({"stdin": "a", "stdin_base64": "YQ=="}, Code.INVALID, "not both"),
    ({"stdin_base64": "a"}, Code.INVALID, "not base64"),
    ({"orchestrator_id": "h", "placement": Placement()}, Code.INVALID, "not both"),
    ({"placement": Placement(provider="codex")}, Code.INVALID, "placement.provider"),
    ({"label": " "}, Code.INVALID, "label is empty"),
    ({"label": "x" * 65}, Code.INVALID, "longer than 64"),
    ({"label": "a\nb"}, Code.INVALID, "cannot be printed"),
    ({"tags": ["a\nb"]}, Code.INVALID, "cannot be printed"),
    ({"idempotency_key": "k" * 201}, Code.INVALID, "longer than 200"),
    ({"agent_id": "ag-XYZ"}, Code.INVALID, "12 hex digits"),
    ({"cwd": ""}, Code.CWD_INVALID, "cwd"),
    ({"approval_mode": "yolo"}, Code.INVALID, "approvalMode"),
    ({"leftovers": "sell"}, Code.INVALID, "leftovers"),
    ({"timeout_ms": 0}, Code.INVALID, "timeoutMs"),
    ({"queue_timeout_ms": -1}, Code.INVALID, "queueTimeoutMs"),
    ({"idle_timeout_ms": 0}, Code.INVALID, "idleTimeoutMs"),
    ({"max_turns": 0}, Code.INVALID, "maxTurns"),
    ({"max_cost_usd": -1.0}, Code.INVALID, "maxCostUsd must be more than 0"),
    ({"max_cost_usd": float("nan")}, Code.INVALID, "maxCostUsd must be more than 0"),
    ({"max_turns": 1}, Code.INVALID, "limit a command with timeoutMs"),
    ({"mode": Mode.EMBEDDED, "provider": "claude", "argv": None, "max_turns": 1}, Code.INVALID, "headless"),
    ({"env": {"A-B": "x"}}, Code.INVALID, "environment variable"),
    ({"env": {"A": "x\0"}}, Code.INVALID, "NUL"),
]


@pytest.mark.parametrize(("facts", "code", "words"), BAD)
def test_a_request_that_nobody_could_carry_out_is_refused(
    facts: dict[str, Any], code: Code, words: str
) -> None:
    with pytest.raises(ApiError, match=words) as refusal:
        check_spawn(SpawnRequest(**{"argv": ["true"], **facts}))
    assert refusal.value.code is code


@pytest.mark.parametrize(
    "facts",
    [
        {"argv": ["true", ""], "cwd": "/tmp", "label": "λ label", "tags": ["t"], "env": {"_A1": ""}},
        {"argv": ["cat"], "stdin_base64": "YQ==", "agent_id": "ag-0123456789ab", "timeout_ms": 1},
        {"provider": "claude", "prompt": "x" * (4 << 20)},
        {"provider": "claude", "prompt": "x", "max_turns": 1, "max_cost_usd": 0.01, "idle_timeout_ms": 1},
        {"provider": "claude", "mode": Mode.EMBEDDED, "sizing": "smallest", "cpus": 0.5},
        {
            "argv": ["vi"],
            "mode": Mode.EMBEDDED,
            "size": {"rows": 1000, "columns": 1},
            "memory_bytes": 1 << 24,
        },
    ],
)
def test_a_sound_request_passes(facts: dict[str, Any]) -> None:
    check_spawn(SpawnRequest(**facts))


def test_a_secret_value_is_not_in_the_refusal() -> None:
    with pytest.raises(ApiError) as refusal:
        check_spawn(SpawnRequest(argv=["true"], env={"A": "planted\0"}))
    assert "planted" not in str(refusal.value)


def test_the_title_is_one_short_line() -> None:
    assert title_of(SpawnRequest(argv=["sh", "-c", "a\n b"])) == "sh -c a b"
    assert len(title_of(SpawnRequest(provider="claude", prompt="x" * 9999))) == 200
