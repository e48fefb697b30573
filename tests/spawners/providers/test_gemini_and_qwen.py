"""What is particular about gemini's and qwen's plans, streams and hooks."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from samples import CLAUDE_DONE, CLAUDE_INIT, QWEN_FAILED, QWEN_SAID
from streams import heard, lines, read

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Ask, Plan, ProviderError
from spawners.providers.events import Event
from spawners.providers.registry import BUILTIN

GEMINI, QWEN = BUILTIN.get("gemini"), BUILTIN.get("qwen")
BOTH = pytest.mark.parametrize("provider", ["gemini", "qwen"])


def plan(provider: str, **change: Any) -> Plan:
    ask = Ask(
        mode="headless",
        cwd="/work",
        env={"PATH": "/bin"},
        state_dir="/state",
        prompt="do it",
        executable="/opt/bin/cli",
    )
    return BUILTIN.get(provider).plan(replace(ask, **change))


@BOTH
def test_a_guarded_run_speaks_acp_where_somebody_answers(provider: str) -> None:
    asking = plan(provider, asks=True, session_id="id-1", model="m")

    assert "--acp" in asking.argv
    assert "id-1" not in asking.argv
    assert asking.session_id is None
    assert asking.stdin.live
    assert asking.opening is not None
    assert (asking.opening.prompt, asking.opening.keep, asking.opening.asks) == ("do it", False, True)


@pytest.mark.parametrize("mode", [ApprovalMode.READ_ONLY, ApprovalMode.OPEN])
@BOTH
def test_where_nothing_is_asked_one_prompt_is_one_shot(provider: str, mode: ApprovalMode) -> None:
    silent = plan(provider, asks=True, approval_mode=mode, session_id="id-1")

    assert "--acp" not in silent.argv
    assert (silent.session_id, silent.stdin.data) == ("id-1", b"do it")


@pytest.mark.parametrize("mode", ApprovalMode)
@BOTH
def test_a_conversation_speaks_acp_in_every_mode(provider: str, mode: ApprovalMode) -> None:
    kept = plan(provider, conversation=True, approval_mode=mode)

    assert kept.opening is not None
    assert (kept.opening.channel, kept.opening.keep, kept.opening.approval_mode) == ("acp", True, mode)


def test_gemini_never_approves_its_own_plan() -> None:
    """Headless it would, and go on to write: seen with 0.61.0."""
    for change in ({"approval_mode": ApprovalMode.READ_ONLY}, {"conversation": True}):
        rules = tomllib.loads(plan("gemini", **change).files["gemini-policy.toml"].decode())["rule"]
        denied = [name for rule in rules if rule["decision"] == "deny" for name in rule["toolName"]]
        assert {"exit_plan_mode", "write_file", "replace"} <= set(denied)


def test_gemini_is_not_made_to_lose_a_session() -> None:
    with pytest.raises(ProviderError, match="without conversation"):
        plan("gemini", conversation=True, resume="id-1")
    assert plan("gemini", asks=True, resume="id-1").argv[-2:] == ("--resume", "id-1")


def test_qwen_goes_on_with_a_session_in_a_conversation_but_not_with_another_model() -> None:
    resumed = plan("qwen", conversation=True, resume="id-1")

    assert resumed.opening is not None
    assert resumed.opening.resume == "id-1"
    dialogue = QWEN.dialogue(resumed.opening)
    dialogue.feed(lines({"id": 1, "result": {"protocolVersion": 1}}, {"id": 2, "result": {}}))
    dialogue.feed(lines({"id": 3, "error": {"code": -32601}}))
    with pytest.raises(ProviderError, match="cannot change its model"):
        dialogue.change("another", None)


def test_qwen_is_quiet_and_told_how_to_log_in_and_whom_to_tell_only_where_it_must() -> None:
    def settings(**change: Any) -> Any:
        return json.loads(plan("qwen", **change).files["qwen-defaults.json"])

    keyed = settings(env={"OPENAI_API_KEY": "sk-1"})
    hooked = settings(mode="embedded", hook=("/usr/bin/my hook", "x"))

    assert keyed["security"] == {"auth": {"selectedType": "openai"}}
    assert "sk-1" not in json.dumps(keyed)
    assert {"security", "hooks"}.isdisjoint(settings(hook=("/hook",)))
    assert hooked["hooks"]["Stop"][0]["hooks"][0]["command"] == "'/usr/bin/my hook' x"
    assert hooked["privacy"] == {"usageStatisticsEnabled": False}


def test_qwen_is_told_of_a_limit_of_turns_where_it_keeps_it() -> None:
    assert plan("qwen", max_turns=3).argv[-2:] == ("--max-session-turns", "3")
    assert "--max-session-turns" not in plan("qwen", max_turns=3, conversation=True).argv


def test_an_answer_of_qwen_s_model_that_quotes_an_api_error_is_an_answer() -> None:
    said = json.loads(json.dumps(QWEN_FAILED))
    said["message"]["usage"]["output_tokens"] = 9

    ran = read("qwen", lines(CLAUDE_INIT, said, CLAUDE_DONE))

    assert (ran.text, ran.failure) == ("PONG", None)


def test_qwen_s_input_tokens_include_the_cached_ones() -> None:
    usage = {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 3}

    ran = read("qwen", lines(CLAUDE_INIT, QWEN_SAID, CLAUDE_DONE | {"usage": usage}))

    assert ran.usage is not None
    assert (ran.usage.input_tokens, ran.usage.cached_input_tokens) == (11, 3)


def test_gemini_s_usage_is_that_of_its_last_line() -> None:
    stats = {"input_tokens": 22, "output_tokens": 14, "cached": 4}

    assert heard("gemini", lines({"type": "result", "status": "success", "stats": stats})) == [
        events.Used(events.Usage(input_tokens=22, output_tokens=14, cached_input_tokens=4)),
        events.TurnEnded(status="completed"),
    ]


CALL = {"tool_name": "run_shell_command", "tool_input": {"command": "ls", "description": "look"}}
SHELL = '{"command":"ls","description":"look"}'


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        (
            {"hook_event_name": "SessionStart", "session_id": "s-1", "model": "m"},
            [events.SessionStarted("s-1", "m")],
        ),
        (
            {"hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt": "do it"},
            [events.SessionStarted("s-1"), events.TurnStarted()],
        ),
        ({"hook_event_name": "UserPromptSubmit", "prompt": ""}, []),
        (
            {"hook_event_name": "PostToolUse", **CALL, "tool_use_id": "t"},
            [events.ToolFinished("t")],
        ),
        (
            {"hook_event_name": "PostToolUseFailure", **CALL, "tool_use_id": "t"},
            [events.ToolFinished("t", failed=True)],
        ),
        (
            {"hook_event_name": "Stop", "last_assistant_message": "PONG"},
            [events.TurnEnded(status="completed", text="PONG")],
        ),
        (
            {"hook_event_name": "StopFailure", "error": "invalid_request", "error_details": "400 no"},
            [events.TurnEnded(status="failed", error="400 no")],
        ),
        ({"hook_event_name": ["Stop"]}, []),
        ({}, []),
    ],
)
def test_what_qwen_s_hooks_say(payload: dict[str, Any], wanted: list[Event]) -> None:
    assert QWEN.hook(payload) == wanted


def test_what_qwen_s_hooks_ask_is_settled_when_the_same_call_begins() -> None:
    (asked,) = QWEN.hook({"hook_event_name": "PermissionRequest", **CALL})
    settled, started = QWEN.hook({"hook_event_name": "PreToolUse", **CALL, "tool_use_id": "t"})

    assert isinstance(asked, events.ApprovalAsked)
    assert (asked.tool, asked.input, asked.title) == ("run_shell_command", SHELL, "ls")
    assert settled == events.ApprovalSettled(asked.id)
    assert started == events.ToolStarted("t", "run_shell_command", SHELL)
