"""What codex' app server says and is told, in lines as the CLI writes them; and its `exec` stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streams import heard, lines, outcome

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.codex_server import CHANNEL, CodexDialogue
from spawners.providers.events import Usage
from spawners.providers.registry import BUILTIN

THREAD = {"threadId": "th"}
YES, NO = {"decision": "accept"}, {"decision": "decline"}


def dialogue(**opening: Any) -> CodexDialogue:
    """One whose first turn runs."""
    fields = {"channel": CHANNEL, "prompt": "go", "cwd": "/w", "keep": True, "asks": True}
    talk = CodexDialogue(Opening(**{**fields, **opening}))
    answer(talk, "initialize", {})
    answer(talk, "thread/start", {"thread": {"id": "th"}, "model": "m"})
    answer(talk, "turn/start", {"turn": {"id": "tu"}})
    talk.feed(notice("turn/started", turn={"id": "tu"}))
    return talk


def words(talk: CodexDialogue) -> list[dict[str, Any]]:
    return [json.loads(line) for line in talk.take_outgoing().splitlines()]


def answer(talk: CodexDialogue, method: str, result: dict[str, Any]) -> list[events.Event]:
    """Answer the request for `method` that has just been written."""
    (request,) = [line for line in words(talk) if line.get("method") == method]
    return talk.feed(lines({"id": request["id"], "result": result}))


def notice(method: str, **params: Any) -> bytes:
    return lines({"method": method, "params": THREAD | params})


def asks(method: str, **params: Any) -> bytes:
    return lines({"method": method, "id": 0, "params": THREAD | params})


def over(status: str = "completed", **turn: Any) -> bytes:
    return notice("turn/completed", turn={"id": "tu", "status": status, **turn})


def test_a_resumed_thread_s_earlier_tokens_are_not_this_run_s() -> None:
    def usage(thread: str, total: int) -> bytes:
        tokens = {"inputTokens": total, "outputTokens": 1, "totalTokens": total + 1}
        used = {"total": tokens, "last": tokens, "modelContextWindow": 1000}
        return lines(
            {"method": "thread/tokenUsage/updated", "params": {"threadId": thread, "tokenUsage": used}}
        )

    talk = CodexDialogue(Opening(channel=CHANNEL, prompt="go", resume="th", cwd="/w"))
    answer(talk, "initialize", {})
    several = answer(talk, "thread/resume", {"thread": {"id": "th"}})
    several += talk.feed(usage("th", 100))
    several += talk.feed(notice("turn/started", turn={"id": "tu"}))
    several += talk.feed(usage("th", 130) + usage("subagent", 7))

    ran = outcome(several)
    assert ran.usage is not None
    assert (ran.usage.input_tokens, ran.usage.output_tokens) == (37, 1)
    assert (ran.context_used, ran.context_window) == (131, 1000)


@pytest.mark.parametrize(
    ("method", "params", "allowed", "denied"),
    [
        ("item/commandExecution/requestApproval", {"command": "ls"}, YES, NO),
        ("item/fileChange/requestApproval", {}, YES, NO),
        (
            "item/permissions/requestApproval",
            {"permissions": {"network": {"enabled": True}, "fileSystem": None}},
            {"permissions": {"network": {"enabled": True}}},
            {"permissions": {}},
        ),
        (
            "mcpServer/elicitation/request",
            {"message": "sure?"},
            {"action": "accept", "content": {}},
            {"action": "decline"},
        ),
        (
            "item/tool/requestUserInput",
            {"questions": [{"id": "q", "question": "Which?"}]},
            {"answers": {"q": {"answers": ["Blue"]}}},
            {"answers": {}},
        ),
    ],
)
def test_everything_that_can_be_asked_has_a_yes_and_a_no(
    method: str, params: dict[str, Any], allowed: dict[str, Any], denied: dict[str, Any]
) -> None:
    for allow, wanted in ((True, allowed), (False, denied)):
        talk = dialogue()
        (asking,) = talk.feed(asks(method, **params))
        assert isinstance(asking, events.ApprovalAsked)
        talk.decide(asking.id, Decision(allow=allow, reason="Blue"))
        assert words(talk)[-1]["result"] == wanted
        with pytest.raises(ProviderError, match="any longer"):
            talk.decide(asking.id, Decision(allow=allow))

    nobody = dialogue(asks=False)
    assert nobody.feed(asks(method, **params)) == []
    assert words(nobody)[-1]["result"] == denied


def test_a_file_change_is_asked_for_with_the_changes_themselves() -> None:
    talk = dialogue()
    change = {"type": "fileChange", "id": "i1", "changes": [{"path": "/w/a", "diff": "+x"}]}
    talk.feed(notice("item/started", item=change))

    (asking,) = talk.feed(asks("item/fileChange/requestApproval", itemId="i1", reason="why not"))

    assert isinstance(asking, events.ApprovalAsked)
    assert "+x" in asking.input
    assert asking.title == "apply_patch: why not"


def test_codex_cannot_be_given_another_command_than_it_asks_for() -> None:
    talk = dialogue()
    talk.feed(asks("item/commandExecution/requestApproval", command="ls"))
    talk.take_outgoing()

    with pytest.raises(ProviderError) as refused:
        talk.decide("0", Decision(allow=True, input="{}"))

    assert refused.value.code == "unsupported"
    assert talk.take_outgoing() == b""
    talk.decide("0", Decision(allow=False))


def test_an_approval_that_is_settled_elsewhere_and_a_request_nobody_knows() -> None:
    talk = dialogue()
    talk.feed(asks("item/commandExecution/requestApproval", command="ls"))
    assert talk.feed(notice("serverRequest/resolved", requestId=0)) == [events.ApprovalSettled("0")]
    assert talk.feed(notice("serverRequest/resolved", requestId=0)) == []

    assert talk.feed(asks("attestation/generate")) == []
    assert words(talk)[-1]["error"]["code"] == -32601


def test_a_thread_that_cannot_be_resumed_is_the_end_and_the_error() -> None:
    talk = CodexDialogue(Opening(channel=CHANNEL, prompt="go", resume="gone", keep=True))
    answer(talk, "initialize", {})
    request = words(talk)[-1]
    several = talk.feed(
        lines({"id": request["id"], "error": {"code": -32600, "message": "no rollout found"}})
    )

    assert talk.finished
    assert outcome(several).error == "no rollout found"
    with pytest.raises(ProviderError, match="no more messages"):
        talk.send("more")


def test_an_interrupt_before_the_turn_has_a_name_is_said_as_soon_as_it_has() -> None:
    talk = CodexDialogue(Opening(channel=CHANNEL, prompt="go", keep=True))
    answer(talk, "initialize", {})
    answer(talk, "thread/start", {"thread": {"id": "th"}})
    talk.interrupt()
    answer(talk, "turn/start", {"turn": {"id": "tu"}})

    assert words(talk)[-1]["method"] == "turn/interrupt"
    assert talk.feed(over("interrupted")) == [events.TurnEnded(status="interrupted")]
    with pytest.raises(ProviderError, match="not working"):
        talk.interrupt()


def test_another_mode_holds_from_the_next_turn_on_and_is_confirmed_then() -> None:
    talk = dialogue()
    talk.change("other", ApprovalMode.READ_ONLY)
    talk.send("again")
    assert words(talk) == []
    talk.feed(over())
    turn = words(talk)[-1]

    assert (turn["params"]["model"], turn["params"]["approvalPolicy"]) == ("other", "never")
    assert turn["params"]["sandboxPolicy"] == {"type": "readOnly"}
    news = talk.feed(lines({"id": turn["id"], "result": {"turn": {"id": "t2"}}}))
    assert news == [events.Changed("other", "read-only")]


def test_another_mode_is_asked_for_again_if_its_turn_was_refused() -> None:
    talk = dialogue()
    talk.change(None, ApprovalMode.READ_ONLY)
    talk.send("again")
    talk.send("once more")
    talk.feed(over())
    refused = words(talk)[-1]

    talk.feed(lines({"id": refused["id"], "error": {"code": -32000, "message": "no"}}))

    assert words(talk)[-1]["params"]["sandboxPolicy"] == {"type": "readOnly"}


def test_what_goes_on_in_the_background_between_turns_does_not_make_it_busy() -> None:
    talk = dialogue()
    item = {"type": "commandExecution", "id": "i1", "command": "serve", "status": "completed"}
    assert talk.feed(notice("item/started", item=item)) == [
        events.ToolStarted("i1", "shell", '{"command":"serve"}')
    ]
    talk.feed(over())

    assert talk.feed(notice("item/completed", item=item)) == []


def test_a_subagent_ends_no_turn_and_says_no_answer() -> None:
    talk = dialogue()
    other = {"threadId": "other"}
    message = {"type": "agentMessage", "id": "i", "text": "not mine"}

    assert talk.feed(notice("item/completed", item=message, **other)) == []
    assert talk.feed(notice("turn/completed", turn={"status": "completed"}, **other)) == []
    assert talk.feed(notice("error", error={"message": "x"}, **other)) == []


def test_errors_are_told_apart_by_what_comes_of_them() -> None:
    talk = dialogue()
    limits = {"primary": {"usedPercent": 100, "resetsAt": 1_800_000_000}, "secondary": {"usedPercent": 3}}
    talk.feed(notice("account/rateLimits/updated", rateLimits=limits))
    limit = {"message": "You've hit your limit", "codexErrorInfo": "usageLimitExceeded"}

    assert talk.feed(notice("error", error={"message": "Reconnecting... 2/5 (x)"}, willRetry=True)) == [
        events.Retrying("Reconnecting... 2/5 (x)", 2, 5)
    ]
    assert talk.feed(notice("error", error=limit, willRetry=False)) == [
        events.RateLimited("You've hit your limit", 1_800_000_000_000),
        events.Problem("You've hit your limit"),
    ]
    http = {"message": "no", "codexErrorInfo": {"responseTooManyFailedAttempts": {"httpStatusCode": 429}}}
    assert isinstance(talk.feed(notice("error", error=http))[0], events.RateLimited)


def test_exec_tells_of_tools_tokens_and_what_holds_it_up() -> None:
    command = {"id": "i1", "type": "command_execution", "command": "false", "status": "failed"}
    call = {"id": "i2", "type": "mcp_tool_call", "server": "orc", "tool": "ping", "arguments": {"a": 1}}
    several = heard(
        "codex",
        lines(
            {"type": "turn.started"},
            {"type": "error", "message": "Reconnecting... 1/5 (high demand)"},
            {"type": "item.started", "item": command},
            {"type": "item.completed", "item": command},
            {"type": "item.completed", "item": call},
            {
                "type": "turn.completed",
                "usage": {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 2},
            },
        ),
    )

    assert events.Retrying("Reconnecting... 1/5 (high demand)", 1, 5) in several
    assert events.ToolFinished("i1", failed=True) in several
    assert events.ToolStarted("i2", "orc.ping", '{"a":1}') in several
    ran = outcome(several)
    assert (ran.tool_calls, ran.error, ran.finished) == (2, None, True)
    assert ran.usage == Usage(input_tokens=9, output_tokens=2, cached_input_tokens=4, reasoning_tokens=0)


def test_its_notify_tells_of_the_end_of_a_turn_but_not_of_one_that_finds_a_title() -> None:
    payload = {"type": "agent-turn-complete", "thread-id": "th", "last-assistant-message": "PONG"}
    title = "Generate a concise, single-line task title of at most 36 characters"

    assert BUILTIN.get("codex").hook(payload | {"input-messages": ["go"]}) == [
        events.SessionStarted("th"),
        events.TurnEnded(status="completed", text="PONG"),
    ]
    assert BUILTIN.get("codex").hook(payload | {"input-messages": [title]}) == []
    assert BUILTIN.get("codex").hook(payload | {"type": "other"}) == []
