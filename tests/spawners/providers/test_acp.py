"""What the dialogue over ACP does where real agents, in their recorded talks, do not go."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from streams import lines
from test_readers import spoilings

from spawners.providers import events
from spawners.providers.acp import Acp, Habits
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.events import Event

HABITS = Habits(
    login="log in first",
    modes={ApprovalMode.READ_ONLY: "plan", ApprovalMode.GUARDED: "edit"},
    mode_note=re.compile(r"\[now (\w+)\]"),
)
OPENED = {"sessionId": "s-1", "modes": {"currentModeId": "edit"}}
OPTIONS = [
    {"optionId": "always", "kind": "allow_always"},
    {"optionId": "once", "kind": "allow_once"},
    {"optionId": "other-once", "kind": "allow_once"},
    {"optionId": "no", "kind": "reject_once"},
]
ALLOWED = {"outcome": {"outcome": "selected", "optionId": "once"}}
DENIED = {"outcome": {"outcome": "selected", "optionId": "no"}}
CANCELLED = {"outcome": {"outcome": "cancelled"}}


class Agent:
    """The other end of a dialogue, by hand: `says` a message, `heard` what was written since."""

    def __init__(self, habits: Habits = HABITS, **opening: Any) -> None:
        self.dialogue = Acp(Opening(**{"channel": "acp", "cwd": "/work", **opening}), habits)

    def says(self, **message: Any) -> list[Event]:
        return self.dialogue.feed(lines({"jsonrpc": "2.0", **message}))

    def updates(self, kind: str, **update: Any) -> list[Event]:
        params = {"sessionId": "s-1", "update": {"sessionUpdate": kind, **update}}
        return self.says(method="session/update", params=params)

    def answers(self, method: str, result: Any = None, error: Any = None) -> list[Event]:
        """Answer the request that was heard just now, which has to be one of `method`."""
        (asked,) = self.heard()
        assert asked["method"] == method
        return self.says(id=asked["id"], **({"result": result} if error is None else {"error": error}))

    def asks(self, number: int = 0) -> list[Event]:
        call = {"toolCallId": "t", "kind": "execute", "rawInput": {"command": "ls"}}
        params = {"sessionId": "s-1", "options": OPTIONS, "toolCall": call}
        return self.says(id=number, method="session/request_permission", params=params)

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.dialogue.take_outgoing().splitlines()]


def begun(**opening: Any) -> Agent:
    """An agent in its first turn."""
    agent = Agent(**{"prompt": "do it", **opening})
    agent.answers("initialize", {"protocolVersion": 1})
    agent.answers("session/new", OPENED)
    (prompt,) = agent.heard()
    assert prompt["method"] == "session/prompt"
    return agent


def end_turn(agent: Agent, number: int = 3, **result: Any) -> list[Event]:
    return agent.says(id=number, result={"stopReason": "end_turn", **result})


@pytest.mark.parametrize(
    ("method", "answer", "error"),
    [
        ("initialize", {"result": {"protocolVersion": 2}}, "version 2 of ACP"),
        ("session/new", {"error": {"code": -32000, "message": "no key"}}, "no key; log in first"),
        ("session/new", {"result": {}}, "without a name"),
    ],
)
def test_a_session_that_does_not_come_about_ends_the_run_with_the_reason(
    method: str, answer: dict[str, Any], error: str
) -> None:
    agent = Agent(prompt="do it", keep=True)
    if method != "initialize":
        agent.answers("initialize", {"protocolVersion": 1})

    (problem,) = agent.answers(method, **answer)

    assert isinstance(problem, events.Problem)
    assert error in problem.message
    assert agent.dialogue.finished
    assert agent.heard() == []
    with pytest.raises(ProviderError, match=error):
        agent.dialogue.send("more")


def test_a_mode_that_is_refused_is_not_prompted_in_a_weaker_one() -> None:
    agent = Agent(prompt="do it", approval_mode=ApprovalMode.READ_ONLY)
    agent.answers("initialize", {"protocolVersion": 1})
    agent.answers("session/new", OPENED)

    assert events.Problem("no") in agent.answers("session/set_mode", error={"code": 1, "message": "no"})
    assert agent.dialogue.finished
    assert agent.heard() == []


def test_what_a_loaded_session_repeats_is_no_news_also_when_it_comes_late() -> None:
    agent = Agent(prompt="do it", resume="s-1")
    agent.answers("initialize", {"protocolVersion": 1})
    old = {"content": {"type": "text", "text": "old"}}

    assert agent.updates("agent_message_chunk", **old) == []
    assert agent.answers("session/load", {"modes": {"currentModeId": "edit"}}) == []
    assert agent.updates("tool_call", toolCallId="t", status="completed") == []
    refused = {"code": -32601, "message": "Method not found"}
    assert agent.answers("_muster/quiet", error=refused) == []
    assert agent.updates("agent_message_chunk", **old) == []
    assert agent.answers("_muster/quiet", error=refused) == []
    started = agent.answers("_muster/quiet", error=refused)

    assert started == [events.SessionStarted("s-1"), events.TurnStarted()]
    assert agent.heard()[0]["params"]["prompt"] == [{"type": "text", "text": "do it"}]


def test_messages_wait_for_the_end_of_the_turn_and_nothing_is_lost_by_an_interrupt() -> None:
    agent = begun(keep=True)
    agent.dialogue.send("second")
    agent.dialogue.send("third")
    agent.dialogue.interrupt()
    agent.dialogue.finish()

    (cancel,) = agent.heard()
    assert (cancel["method"], "id" in cancel) == ("session/cancel", False)
    assert events.TurnEnded(status="interrupted") in agent.says(id=3, result={"stopReason": "cancelled"})
    assert agent.heard()[0]["params"]["prompt"][0]["text"] == "second"
    end_turn(agent, 4)
    assert not agent.dialogue.finished
    assert agent.heard()[0]["params"]["prompt"][0]["text"] == "third"
    end_turn(agent, 5)
    assert agent.dialogue.finished


def test_a_message_sent_before_the_session_is_there_is_said_before_the_end() -> None:
    agent = Agent(keep=True)
    agent.dialogue.send("do it")
    agent.dialogue.finish()

    assert not agent.dialogue.finished
    agent.answers("initialize", {"protocolVersion": 1})
    agent.answers("session/new", OPENED)
    assert agent.heard()[0]["params"]["prompt"][0]["text"] == "do it"


def test_an_error_after_an_interrupt_is_the_interrupt() -> None:
    agent = begun()
    agent.dialogue.interrupt()

    assert agent.says(id=3, error={"code": 1, "message": "aborted"})[-1] == events.TurnEnded(
        status="interrupted"
    )


@pytest.mark.parametrize(("allow", "answer"), [(True, ALLOWED), (False, DENIED)])
def test_an_approval_is_given_for_one_time_only(allow: bool, answer: dict[str, Any]) -> None:
    agent = begun(asks=True)

    started, asked = agent.asks()
    agent.dialogue.decide("0", Decision(allow=allow))

    assert started == events.ToolStarted("t", "execute", '{"command":"ls"}')
    assert asked == events.ApprovalAsked("0", "execute", '{"command":"ls"}', "ls (execute)")
    assert agent.heard() == [{"jsonrpc": "2.0", "id": 0, "result": answer}]
    with pytest.raises(ProviderError, match="not ask '0'"):
        agent.dialogue.decide("0", Decision(allow=True))


def test_changed_input_is_refused_and_the_approval_still_waits() -> None:
    agent = begun(asks=True)
    agent.asks()

    with pytest.raises(ProviderError, match="no changed input"):
        agent.dialogue.decide("0", Decision(allow=True, input='{"command":"pwd"}'))
    agent.dialogue.decide("0", Decision(allow=False))

    assert agent.heard()[0]["result"] == DENIED


@pytest.mark.parametrize(
    "opening",
    [{"asks": False}, {"asks": True, "approval_mode": ApprovalMode.READ_ONLY}],
    ids=["nobody-answers", "read-only"],
)
def test_what_nobody_may_grant_is_denied_at_once(opening: dict[str, Any]) -> None:
    agent = Agent(prompt="do it", **opening)
    agent.answers("initialize", {"protocolVersion": 1})
    agent.answers("session/new", OPENED | {"modes": {"currentModeId": HABITS.modes[agent_mode(opening)]}})
    agent.heard()

    assert agent.asks() == []
    assert agent.heard()[0]["result"] == DENIED


def agent_mode(opening: dict[str, Any]) -> ApprovalMode:
    return opening.get("approval_mode", ApprovalMode.GUARDED)  # type: ignore[no-any-return]


def test_an_interrupt_takes_back_what_was_asked_and_what_is_asked_after_it() -> None:
    agent = begun(asks=True)
    agent.asks(7)
    agent.dialogue.interrupt()

    assert [said.get("result") for said in agent.heard()] == [None, CANCELLED]
    assert agent.asks(8) == [events.ApprovalSettled("7")]
    assert agent.heard()[0]["result"] == CANCELLED


def test_what_we_do_not_offer_is_refused() -> None:
    agent = begun()

    assert agent.says(id="x", method="fs/read_text_file", params={"path": "/etc/shadow"}) == []

    (refusal,) = agent.heard()
    assert (refusal["id"], refusal["error"]["code"]) == ("x", -32601)


def test_a_mode_that_the_cli_changed_itself_is_told_and_is_none_of_the_answer() -> None:
    agent = begun()

    assert agent.updates("agent_message_chunk", content={"text": "[now plan]"}) == [
        events.Changed(None, "read-only")
    ]
    assert agent.updates("current_mode_update", currentModeId="edit") == [events.Changed(None, "guarded")]


def test_what_it_cannot_change_to_is_refused() -> None:
    agent = begun(keep=True)

    with pytest.raises(ProviderError, match="cannot change to open"):
        agent.dialogue.change(None, ApprovalMode.OPEN)
    assert agent.heard() == []


@pytest.mark.parametrize("reason", ["max_tokens", "max_turn_requests", "refusal"])
def test_a_turn_that_was_cut_off_has_failed(reason: str) -> None:
    ended = begun().says(id=3, result={"stopReason": reason})[-1]

    assert isinstance(ended, events.TurnEnded)
    assert (ended.status, bool(ended.error)) == ("failed", True)


def test_usage_adds_up_over_turns_and_cost_and_context_are_told() -> None:
    agent = begun(keep=True)
    cost = {"amount": 0.5, "currency": "USD"}

    said = agent.updates("usage_update", used=10, size=100, cost=cost)
    first = end_turn(agent, usage={"inputTokens": 3, "outputTokens": 2})
    agent.dialogue.send("more")
    second = end_turn(agent, 4, usage={"inputTokens": 4, "outputTokens": 1})

    assert said[0] == events.ContextUsed(10, 100)
    wanted = [events.Usage(input_tokens=i, output_tokens=o) for i, o in ((3, 2), (7, 3))]
    assert [event for event in (*first, *second) if isinstance(event, events.Used)] == [
        events.Used(usage, 0.5) for usage in wanted
    ]


def test_fields_of_the_wrong_type_raise_nothing() -> None:
    call = {"toolCallId": "t", "kind": "execute", "status": "completed", "rawInput": {"a": 1}, "_meta": {}}
    said = [
        {"id": 3, "result": {"stopReason": "end_turn", "usage": {"inputTokens": 1}}},
        {"id": 3, "error": {"code": -32000, "message": "x", "data": {"details": "y"}}},
        {"id": 0, "method": "session/request_permission", "params": {"options": OPTIONS, "toolCall": call}},
        {"method": "session/update", "params": {"update": {"sessionUpdate": "tool_call", **call}}},
        {
            "method": "session/update",
            "params": {"update": {"sessionUpdate": "usage_update", "used": 1, "cost": {"amount": 1}}},
        },
    ]
    for line in said:
        for spoilt in spoilings(line):
            begun(asks=True).dialogue.feed(lines(spoilt))
    for spoilt in spoilings(OPENED | {"models": {"currentModelId": "m", "availableModels": [{"name": "m"}]}}):
        agent = Agent(prompt="do it")
        agent.answers("initialize", {"protocolVersion": 1})
        agent.answers("session/new", spoilt)
