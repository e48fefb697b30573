"""What claude's stream says beyond the answer, and what is said to it: in lines as the CLI writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from samples import CLAUDE_DONE, CLAUDE_INIT
from streams import heard, lines, outcome

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.claude_control import CHANNEL, ClaudeDialogue
from spawners.providers.events import Usage
from spawners.providers.registry import BUILTIN


def message(number: str, *content: dict[str, Any], parent: str | None = None, **usage: int) -> dict[str, Any]:
    inside = {"id": number, "model": "opus", "content": list(content), "usage": usage}
    return {"type": "assistant", "message": inside, "parent_tool_use_id": parent}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def tool(number: str, name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": number, "name": name, "input": given}


def result_of(number: str, **fields: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": number, **fields}
    return {"type": "user", "message": {"role": "user", "content": [block]}}


def test_a_message_in_several_lines_is_one_answer_and_its_tokens_count_once() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3}
    ran = outcome(
        heard(
            "claude",
            lines(
                CLAUDE_INIT,
                message("m1", said("let me look"), **usage),
                message("m1", tool("t1", "Bash", command="ls"), **usage),
                message("m1", tool("t2", "Bash", command="pwd"), **usage),
                result_of("t1"),
                result_of("t2", is_error=True),
                message("m2", said("PONG"), input_tokens=20, output_tokens=1),
            ),
        )
    )

    assert (ran.turns, ran.tool_calls, ran.text) == (2, 2, "PONG")
    assert ran.usage == Usage(input_tokens=35, output_tokens=4, cached_input_tokens=5)
    assert ran.context_used == 21


def test_a_subagent_s_words_are_no_answer_but_its_tools_and_tokens_count() -> None:
    ran = outcome(
        heard(
            "claude",
            lines(
                CLAUDE_INIT,
                message("m1", said("I ask another"), tool("t1", "Task"), input_tokens=10),
                message("m2", said("I am the other"), tool("t2", "Read"), parent="t1", input_tokens=7),
                result_of("t2"),
            ),
        )
    )

    assert (ran.text, ran.tool_calls, ran.context_used) == ("I ask another", 2, 10)
    assert ran.usage is not None
    assert ran.usage.input_tokens == 17


def test_totals_are_those_of_the_process_and_not_of_the_last_turn() -> None:
    init = CLAUDE_INIT | {"model": "opus[1m]"}
    first = {"inputTokens": 10, "cacheReadInputTokens": 4, "outputTokens": 2, "contextWindow": 1000}
    turn = [init, message("m1", said("PONG"), input_tokens=10, output_tokens=2)]
    done = CLAUDE_DONE | {"total_cost_usd": 0.5, "modelUsage": {"opus[1m]": first}}
    two = heard("claude", lines(*turn, done, init, message("m2", said("x"), input_tokens=30)))

    ran = outcome(two)
    assert ran.usage == Usage(input_tokens=44, output_tokens=2, cached_input_tokens=4)
    assert (ran.cost_usd, ran.context_window, ran.context_used) == (0.5, 1000, 30)


def test_what_holds_it_up_is_told() -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 2, "max_retries": 10}
    limit = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1_800_000_000}}
    limit["rate_limit_info"]["rateLimitType"] = "five_hour"  # type: ignore[index]
    fine = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed_warning"}}

    assert heard("claude", lines(retry | {"error_status": 529, "error": "overloaded"}, fine)) == [
        events.Retrying("overloaded (529)", 2, 10)
    ]
    assert heard("claude", lines(retry | {"error_status": 429, "error": "rate_limit"}))[1:] == [
        events.RateLimited("rate_limit (429)")
    ]
    assert heard("claude", lines(limit)) == [events.RateLimited("five hour limit reached", 1_800_000_000_000)]
    refused = CLAUDE_DONE | {"is_error": True, "api_error_status": 429, "result": "API Error: 429"}
    assert outcome(heard("claude", lines(CLAUDE_INIT, refused))).rate_limited == "API Error: 429"
    called_off = CLAUDE_DONE | {"is_error": True, "terminal_reason": "aborted_streaming"}
    assert outcome(heard("claude", lines(CLAUDE_INIT, limit, called_off))).rate_limited is None


def dialogue(**opening: Any) -> ClaudeDialogue:
    fields = {"channel": CHANNEL, "prompt": "go", "keep": True, "asks": True}
    return ClaudeDialogue(Opening(**{**fields, **opening}))


def words(talk: ClaudeDialogue) -> list[dict[str, Any]]:
    return [json.loads(line) for line in talk.take_outgoing().splitlines()]


def asks(tool_name: str, **given: Any) -> bytes:
    request = {"subtype": "can_use_tool", "tool_name": tool_name, "input": given}
    return lines({"type": "control_request", "request_id": "r1", "request": request})


QUESTION = {
    "question": "Which colour?",
    "options": [{"label": "Red"}, {"label": "Blue"}],
}


@pytest.mark.parametrize("opening", [{"asks": False}, {"approval_mode": ApprovalMode.READ_ONLY}])
def test_where_nobody_may_grant_it_what_needs_leave_is_denied(opening: dict[str, Any]) -> None:
    talk = dialogue(**opening)
    talk.take_outgoing()

    assert talk.feed(asks("Write", file_path="/x")) == []

    response = json.loads(talk.take_outgoing())["response"]
    assert response["response"]["behavior"] == "deny"


def test_a_question_is_answered_by_the_reason_of_its_approval() -> None:
    talk = dialogue()
    talk.take_outgoing()
    (asking,) = talk.feed(asks("AskUserQuestion", questions=[QUESTION]))

    assert isinstance(asking, events.ApprovalAsked)
    assert asking.title == "AskUserQuestion: Which colour? (Red, Blue)"
    with pytest.raises(ProviderError, match="give the answer as the reason"):
        talk.decide("r1", Decision(allow=True))
    talk.decide("r1", Decision(allow=True, reason="Blue"))
    (answer,) = words(talk)
    assert answer["response"]["response"]["updatedInput"]["answers"] == {"Which colour?": "Blue"}


def test_an_approval_is_decided_once_and_with_an_object() -> None:
    talk = dialogue()
    talk.feed(asks("Bash", command="ls"))
    talk.take_outgoing()

    for wrong in ("[]", "x", "1", "{" * 100_000):
        with pytest.raises(ProviderError, match="JSON object"):
            talk.decide("r1", Decision(allow=True, input=wrong))
    talk.decide("r1", Decision(allow=True, input='{"command": "pwd"}'))
    (answer,) = words(talk)
    assert answer["response"]["response"] == {"behavior": "allow", "updatedInput": {"command": "pwd"}}
    with pytest.raises(ProviderError) as refused:
        talk.decide("r1", Decision(allow=True))
    assert refused.value.code == "invalid"


def test_an_approval_that_the_cli_withdraws_is_settled() -> None:
    talk = dialogue()
    talk.feed(asks("Bash", command="ls"))

    news = talk.feed(lines({"type": "control_cancel_request", "request_id": "r1"}))

    assert news == [events.ApprovalSettled("r1")]
    with pytest.raises(ProviderError):
        talk.decide("r1", Decision(allow=True))


def test_what_is_asked_of_nobody_is_denied_at_once() -> None:
    talk = dialogue(asks=False)
    talk.take_outgoing()

    assert talk.feed(asks("Bash", command="ls")) == []
    (answer,) = words(talk)
    assert answer["response"]["response"]["behavior"] == "deny"


def test_a_request_it_does_not_know_is_refused_and_not_left_open() -> None:
    talk = dialogue()
    talk.take_outgoing()

    talk.feed(lines({"type": "control_request", "request_id": "r9", "request": {"subtype": "elicitation"}}))

    (answer,) = words(talk)
    assert (answer["response"]["subtype"], answer["response"]["request_id"]) == ("error", "r9")


def test_only_a_run_that_was_started_open_can_change_its_mode_and_never_to_read_only() -> None:
    for start, to in [("guarded", "open"), ("read-only", "guarded"), ("open", "read-only")]:
        with pytest.raises(ProviderError, match="resume it in that mode") as refused:
            dialogue(approval_mode=ApprovalMode(start)).change(None, ApprovalMode(to))
        assert refused.value.code == "unsupported"

    talk = dialogue(approval_mode=ApprovalMode.OPEN)
    talk.take_outgoing()
    talk.change("haiku", ApprovalMode.GUARDED)
    requests = words(talk)
    assert [one["request"] for one in requests] == [
        {"subtype": "set_model", "model": "haiku"},
        {"subtype": "set_permission_mode", "mode": "acceptEdits"},
    ]
    answers = [
        {"type": "control_response", "response": {"subtype": "success", "request_id": one["request_id"]}}
        for one in requests
    ]
    assert talk.feed(lines(*answers)) == [events.Changed("haiku"), events.Changed(None, "guarded")]


def test_nothing_is_sent_or_interrupted_where_it_cannot_be() -> None:
    once = dialogue(keep=False)
    with pytest.raises(ProviderError, match="resume it"):
        once.send("more")
    assert not once.finished
    once.feed(lines(CLAUDE_INIT, CLAUDE_DONE))
    assert once.finished

    kept = dialogue()
    kept.feed(lines(CLAUDE_INIT, CLAUDE_DONE))
    assert not kept.finished
    with pytest.raises(ProviderError, match="not working"):
        kept.interrupt()
    with pytest.raises(ProviderError, match="blank"):
        kept.send(" ")
    kept.finish()
    assert kept.finished


def hooked(*payloads: dict[str, Any]) -> list[events.Event]:
    claude = BUILTIN.get("claude")
    return [event for payload in payloads for event in claude.hook(payload)]


BASH = {"tool_name": "Bash", "tool_input": {"command": "ls"}}


def test_a_permission_that_its_hooks_ask_for_is_settled_by_the_same_tool() -> None:
    before, asking, after = hooked(
        {"hook_event_name": "PreToolUse", "tool_use_id": "t1", **BASH},
        {"hook_event_name": "PermissionRequest", **BASH},
        {"hook_event_name": "PostToolUse", "tool_use_id": "t1", **BASH},
    )[:3]

    assert before == events.ToolStarted("t1", "Bash", '{"command":"ls"}')
    assert isinstance(asking, events.ApprovalAsked)
    assert asking.title == "Bash: ls"
    assert after == events.ApprovalSettled(asking.id)


def test_its_hooks_tell_of_a_turn_s_begin_and_its_end_good_or_bad() -> None:
    ran = outcome(
        hooked(
            {"hook_event_name": "SessionStart", "session_id": "s-1", "model": "opus"},
            {"hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt": "go"},
            {"hook_event_name": "Stop", "last_assistant_message": "PONG"},
        )
    )
    assert (ran.session_id, ran.text, ran.finished, ran.turns) == ("s-1", "PONG", True, 1)

    bad = {
        "hook_event_name": "StopFailure",
        "error": "rate_limit",
        "last_assistant_message": "API Error: 429",
    }
    assert outcome(hooked(bad)).error == "API Error: 429"
    assert outcome(hooked(bad | {"last_assistant_message": None})).error == "rate_limit"


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_hook_s_message_of_any_shape_raises_nothing(name: str) -> None:
    keys = ("tool_name", "tool_input", "tool_use_id", "session_id", "last_assistant_message", "error")
    for kind in ("PermissionRequest", "PostToolUse", "Stop", "StopFailure", "Elicitation", 7, None):
        for value in (None, 1, [], {}, [1], "x" * 10, True):
            payload = dict.fromkeys(keys, value) | {"hook_event_name": kind}
            BUILTIN.get(name).hook(payload)
            BUILTIN.get(name).hook(
                {"type": "agent-turn-complete", "input-messages": value, "thread-id": value}
            )
