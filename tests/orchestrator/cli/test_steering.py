"""`stop`, `kill`, `wait`, `send`, `token`: what they ask, what they say, what they exit with."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from local_api import NOW, FakeServer, an_agent
from muster_command import Muster

from relay.wire.agents import ExitFacts, ManagedAgent, Presence, Status
from relay.wire.endpoints import CREATE_TOKEN, GET_AGENT, LIST_TOKENS, REVOKE_TOKEN, SEND_INPUT, STOP_AGENT
from relay.wire.health import Scope, Token, TokenCreated
from relay.wire.serving import Call
from relay.wire.steering import InputResult


class Stoppable:
    """Agents that end when they are stopped, each in its own way."""

    def __init__(self, server: FakeServer, **after: ManagedAgent) -> None:
        self.after = after
        self.stopped: dict[str, threading.Event] = {name: threading.Event() for name in after}
        server.on(GET_AGENT, self.get)
        server.on(STOP_AGENT, self.stop)

    def get(self, call: Call) -> ManagedAgent:
        if call.query.wait == "ended":
            self.stopped[call.id].wait(60)
        if self.stopped[call.id].is_set():
            return self.after[call.id]
        return an_agent(id=call.id)

    def stop(self, call: Call) -> ManagedAgent:
        self.stopped[call.id].set()
        return an_agent(Status.STOPPING, id=call.id)


def stopped(name: str, **facts: Any) -> ManagedAgent:
    end = ExitFacts(at=NOW, **facts)
    return an_agent(Status.CANCELLED, id=name, exit=end, stopping_at=NOW, ended_at=NOW + 1500)


def test_stop_waits_for_the_end_and_says_what_it_took(muster: Muster, daemon: FakeServer) -> None:
    Stoppable(daemon, a=stopped("a", stage="interrupt"), b=stopped("b", stage="kill", killed=["12 sh"]))

    said = muster("stop", "a", "b", "--grace", "2")

    assert (said.code, said.err) == (0, "")
    assert said.text == "a cancelled after interrupt in 1.5s\nb cancelled after kill in 1.5s; killed 12 sh\n"
    assert [call.body.grace_ms for call in daemon.made(STOP_AGENT)] == [2000, 2000]
    assert not any(call.body.kill for call in daemon.made(STOP_AGENT))


def test_survivors_are_named_and_fail(muster: Muster, daemon: FakeServer) -> None:
    Stoppable(daemon, a=stopped("a", stage="kill", survivors=["14 stuck"]))

    said = muster("kill", "a")

    assert said.code == 1
    assert "14 stuck" in said.err
    assert [call.body.kill for call in daemon.made(STOP_AGENT)] == [True]


def test_stopping_what_has_ended_changes_nothing(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED))

    said = muster("stop", "x")

    assert (said.code, said.text) == (0, "ag-0123456789ab had ended before: succeeded\n")
    assert daemon.made(STOP_AGENT) == []


def test_an_agent_of_an_offline_host_is_not_waited_for(muster: Muster, daemon: FakeServer) -> None:
    agent = an_agent(presence=Presence.UNKNOWN, reason="the stop is delivered when the host is back")
    daemon.on(GET_AGENT, agent)
    daemon.on(STOP_AGENT, agent)

    said = muster("stop", "x")

    assert said.code == 4
    assert "the stop is delivered when the host is back" in said.err


@pytest.mark.parametrize(
    ("agent", "options", "code"),
    [
        (an_agent(Status.SUCCEEDED, started_at=NOW), [], 0),
        (an_agent(Status.FAILED, started_at=NOW), [], 1),
        (an_agent(Status.FAILED, started_at=NOW), ["--for", "running"], 0),
        (an_agent(Status.REJECTED), ["--for", "running"], 1),
        (an_agent(Status.RUNNING, started_at=NOW), ["--for", "ready", "--timeout", "0.3"], 4),
        (an_agent(Status.RUNNING, started_at=NOW), ["--timeout", "0.3"], 4),
    ],
)
def test_wait_exits_by_whether_it_got_there(
    muster: Muster, daemon: FakeServer, agent: ManagedAgent, options: list[str], code: int
) -> None:
    daemon.on(GET_AGENT, agent)

    assert muster("wait", "x", *options).code == code


def test_wait_json_is_one_object_for_one_and_a_list_for_more(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED))

    assert muster("wait", "x", "--json").json["status"] == "succeeded"
    assert len(muster("wait", "x", "y", "--json").json) == 2


def test_send_writes_a_line(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent())
    daemon.on(SEND_INPUT, InputResult(receipt="written", bytes=6))

    assert muster("send", "x", "go", "on").code == 0
    assert muster("send", "x", "--no-newline", "--eof", "end").code == 0
    assert muster("send", "x", "--eof").code == 0

    bodies = [call.body for call in daemon.made(SEND_INPUT)]
    assert [(body.text, body.newline, body.eof) for body in bodies] == [
        ("go on", True, False),
        ("end", False, True),
        (None, False, True),
    ]


def test_send_says_when_not_all_went_in(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent())
    daemon.on(SEND_INPUT, InputResult(receipt="partial", bytes=2))

    said = muster("send", "x", "words")

    assert said.code == 1
    assert "only 2 bytes" in said.err


def test_tokens_are_made_listed_and_revoked_at_the_relay(
    muster: Muster, daemon: FakeServer, relay: FakeServer
) -> None:
    muster.variables["MUSTER_RELAY_URL"] = relay.url
    relay.on(CREATE_TOKEN, TokenCreated(token="mst_x", id="b", scope=Scope.ORCHESTRATOR, name="t1"))
    token = Token(name="t1", scope=Scope.VIEWER, created_at=NOW)
    relay.on(LIST_TOKENS, [token])
    relay.on(REVOKE_TOKEN, token)

    assert (
        muster("token", "create", "--scope", "orchestrator", "--id", "b", "--expires", "2h").text == "mst_x\n"
    )
    created = muster("token", "create", "--scope", "orchestrator", "--id", "b", "--json").json
    assert (created["token"], created["id"], created["scope"]) == ("mst_x", "b", "orchestrator")
    assert "t1    viewer" in muster("token", "list").text
    assert muster("token", "revoke", "t1").text == "revoked t1\n"

    asked = relay.made(CREATE_TOKEN)[0].body
    assert (asked.scope, asked.id, asked.expires_in_ms) == (Scope.ORCHESTRATOR, "b", 7_200_000)
    assert daemon.calls == []
