"""Limits of a run: what is refused before it, and how one ends that has reached its own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from running import Host

from relay.wire.agents import ManagedAgent
from relay.wire.errors import ApiError

pytestmark = pytest.mark.usefixtures("nothing_left")

INIT = {"type": "system", "subtype": "init", "session_id": "s", "model": "m"}


def says(*messages: dict[str, Any]) -> str:
    return "; ".join(f"echo {shlex.quote(json.dumps(message))}" for message in messages)


def answer(number: int) -> str:
    """One answer of the model, that uses a tool, and what the tool says."""
    call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": f"step {number}"}}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "ok"}
    return says(
        {"type": "assistant", "message": {"id": f"m{number}", "content": [call]}},
        {"type": "user", "message": {"content": [result]}},
    )


def run(host: Host, script: str, **fields: Any) -> ManagedAgent:
    return host.spawn(provider="claude", prompt="work", ask=False, env={"FAKE_PRINT": script}, **fields)


def test_a_run_that_goes_on_after_its_last_answer_is_ended(host: Host) -> None:
    script = f"{says(INIT)}; {answer(1)}; {answer(2)}; {answer(3)}; sleep 1000"

    ended = host.ended(run(host, script, max_turns=2).id)

    assert ended.cause is not None
    assert (ended.status, ended.cause.kind, ended.cause.by) == ("failed", "stopped", None)
    assert "stopped at a limit: the model has answered 2 times and goes on (maxTurns)" in ended.cause.message
    assert (ended.turns, ended.tool_calls) == (3, 3)


def test_one_that_ends_with_its_last_answer_is_not(host: Host) -> None:
    done = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "num_turns": 2}
    script = f"{says(INIT)}; {answer(1)}; {answer(2)}; {says(done)}; sleep 0.3"

    ended = host.ended(run(host, script, max_turns=2).id)

    assert (ended.status, ended.result) == ("succeeded", "done")


def test_what_was_too_much_while_no_daemon_was_there_ends_it_later(host: Host, fifo: Path) -> None:
    went = fifo.with_name("went")
    script = f"{says(INIT)}; {answer(1)}; read line <{fifo}; {answer(2)}; : >{went}; sleep 1000"
    agent = run(host, script, max_turns=1)
    assert host.get(agent.id, "ready").ready_at is not None
    host.kill()
    fifo.write_text("go\n")

    host.start()

    ended = host.ended(agent.id)
    assert ended.cause is not None
    assert "stopped at a limit" in ended.cause.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"argv": ["true"], "max_turns": 1}, "maxTurns"),
        ({"argv": ["true"], "idle_timeout_ms": 0}, "idleTimeoutMs must be more than 0"),
        ({"provider": "claude", "prompt": "x", "max_turns": 0}, "maxTurns must be more than 0"),
        ({"provider": "claude", "prompt": "x", "max_cost_usd": 0.0}, "maxCostUsd must be more than 0"),
        ({"provider": "claude", "mode": "embedded", "max_cost_usd": 1.0}, "idleTimeoutMs"),
        (
            {"provider": "gemini", "prompt": "x", "max_cost_usd": 1.0},
            "in mode headless to maxCostUsd",
        ),
        ({"provider": "codex", "prompt": "x", "max_cost_usd": 1.0}, "for it does not tell"),
    ],
)
def test_a_limit_that_nobody_could_hold_is_refused(host: Host, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        host.spawn(*fields.pop("argv", ()), **fields)
