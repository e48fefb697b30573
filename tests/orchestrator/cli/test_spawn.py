"""`muster spawn`: the request it makes of what was typed, and what it says about the answer."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from local_api import FakeServer, an_agent
from muster_command import Muster

from orchestrator.cli.target import connect
from relay.wire.agents import Cause, CauseKind, ManagedAgent, SpawnRequest, SpawnResponse, Status
from relay.wire.endpoints import GET_AGENT, SPAWN
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home

REFUSED = Cause(kind=CauseKind.REJECTED, message="policy.providers does not allow claude")


def request(server: FakeServer) -> SpawnRequest:
    [call] = server.made(SPAWN)
    body: SpawnRequest = call.body
    return body


def test_a_command_here_runs_in_this_folder_and_prints_its_id(
    muster: Muster, daemon: FakeServer, tmp_path: Path
) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    muster.cwd = str(tmp_path)
    muster.variables["TAKEN"] = "from here"

    said = muster(
        "spawn",
        "--label",
        "l",
        "--env",
        "A=1=2",
        "--env",
        "TAKEN",
        "--timeout",
        "1.5m",
        "--tag",
        "t",
        "--tag",
        "u",
        "--",
        "echo",
        "--flag",
        "two words",
        "--",
    )

    assert (said.code, said.text, said.err) == (0, "ag-0123456789ab\n", "")
    asked = request(daemon)
    assert asked.provider == "command"
    assert asked.argv == ["echo", "--flag", "two words", "--"]
    assert asked.cwd == os.path.realpath(tmp_path)
    assert asked.env == {"A": "1=2", "TAKEN": "from here"}
    assert (asked.label, asked.timeout_ms, asked.tags) == ("l", 90_000, ["t", "u"])
    assert (asked.orchestrator_id, asked.placement, asked.prompt) == (None, None, None)


@pytest.mark.parametrize(
    ("of_the_host", "said"),
    [
        ("restartLimit must be at least 1", "--restart-limit must be at least 1"),
        ("approvalTimeoutMs must be more than 0", "--approval-timeout must be more than 0"),
        ("parentId must be an agent", "parentId must be an agent"),
        ("there is no provider x", "there is no provider x"),
    ],
)
def test_a_refusal_names_the_option_that_was_typed(
    muster: Muster, daemon: FakeServer, of_the_host: str, said: str
) -> None:
    daemon.on(SPAWN, ApiError(Code.INVALID, of_the_host))
    refused = muster("spawn", "--", "true")
    assert (refused.code, refused.err) == (2, f"muster: {said}\n")


def test_a_relative_cwd_is_made_absolute_here(muster: Muster, daemon: FakeServer, tmp_path: Path) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    muster.cwd = str(tmp_path)

    muster("spawn", "--cwd", "sub", "--", "true")

    assert request(daemon).cwd == os.path.join(os.path.realpath(tmp_path), "sub")


def test_another_host_chooses_its_own_folder(muster: Muster, daemon: FakeServer, relay: FakeServer) -> None:
    relay.on(SPAWN, SpawnResponse(agent=an_agent()))
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    assert muster("spawn", "--host", "there", "--", "true").code == 0
    assert muster("spawn", "--host", "there", "--cwd", "relative", "--", "true").code == 2

    asked = request(relay)
    assert (asked.orchestrator_id, asked.cwd) == ("there", None)
    assert daemon.made(SPAWN) == []


def test_labels_place_a_spawn_through_the_relay(
    muster: Muster, daemon: FakeServer, relay: FakeServer
) -> None:
    queued = an_agent(Status.QUEUED, orchestrator_id=None, reason="no host has zone=eu")
    relay.on(SPAWN, SpawnResponse(agent=queued))
    muster.variables["MUSTER_RELAY_URL"] = relay.url

    said = muster("spawn", "--place", "zone=eu", "--place", "gpu=yes", "--", "true")

    assert (said.code, said.text) == (0, "ag-0123456789ab\n")
    assert "no host has zone=eu" in said.err
    placement = request(relay).placement
    assert placement is not None
    assert placement.labels == {"zone": "eu", "gpu": "yes"}


@pytest.mark.parametrize("how", ["words", "dash", "file"])
def test_a_prompt_comes_as_words_from_stdin_or_a_file(
    muster: Muster, daemon: FakeServer, tmp_path: Path, how: str
) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    text = "fix the bug\n\n'quoted' $HOME — ünïcode --flag" if how != "words" else "fix the bug"
    (tmp_path / "prompt").write_text(text)
    words = {
        "words": ["fix", "the", "bug"],
        "dash": ["-"],
        "file": ["--prompt-file", str(tmp_path / "prompt")],
    }

    said = muster("spawn", "--provider", "claude", *words[how], stdin=text.encode())

    assert said.code == 0
    assert (request(daemon).provider, request(daemon).prompt) == ("claude", text)
    assert request(daemon).argv is None


def test_stdin_goes_as_text_or_as_bytes(muster: Muster, daemon: FakeServer, tmp_path: Path) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))
    (tmp_path / "odd").write_bytes(b"\xff\x00odd")

    muster("spawn", "--stdin", "-", "--", "cat", stdin="täxt".encode())
    muster("spawn", "--stdin", str(tmp_path / "odd"), "--", "cat")

    first, second = (call.body for call in daemon.made(SPAWN))
    assert (first.stdin, first.stdin_base64) == ("täxt", None)
    assert (second.stdin, base64.b64decode(second.stdin_base64)) == (None, b"\xff\x00odd")


def test_a_prompt_of_ten_megabytes_is_refused_before_it_is_sent(muster: Muster, daemon: FakeServer) -> None:
    said = muster("spawn", "--provider", "claude", "-", stdin=b"x" * 10_000_000)

    assert said.code == 2
    assert "8 MiB" in said.err
    assert "into a file" in said.err
    assert daemon.calls == []


def test_a_prompt_that_is_no_text_is_refused(muster: Muster, daemon: FakeServer) -> None:
    said = muster("spawn", "--provider", "claude", "-", stdin=b"\xff\xfe")

    assert (said.code, daemon.calls) == (2, [])
    assert "UTF-8" in said.err


def test_limits_of_a_run_are_asked_for(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))

    said = muster(
        "spawn", "-p", "claude", "--max-turns", "20", "--max-cost", "1.5", "--idle-timeout", "10m", "go"
    )

    assert said.code == 0, said.err
    asked = request(daemon)
    assert (asked.max_turns, asked.max_cost_usd, asked.idle_timeout_ms) == (20, 1.5, 600_000)


def test_every_spawn_has_a_key_and_a_given_one_is_used(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent()))

    muster("spawn", "--", "true")
    muster("spawn", "--", "true")
    muster("spawn", "--key", "mine", "--", "true")

    one, two, mine = (call.body.idempotency_key for call in daemon.made(SPAWN))
    assert one
    assert two
    assert one != two
    assert mine == "mine"


def test_json_is_the_agent_itself(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent(cwd="/tmp", pid=7)))

    found = muster("spawn", "--json", "--", "true").json

    assert found["id"] == "ag-0123456789ab"
    assert (found["orchestratorId"], found["pid"], found["status"]) == ("here", 7, "running")


@pytest.mark.parametrize(
    ("agent", "options", "code", "says"),
    [
        (an_agent(Status.REJECTED, cause=REFUSED), [], 5, "policy.providers does not allow claude"),
        (
            an_agent(Status.FAILED, cause=Cause(kind=CauseKind.EXEC_FAILED, message="no such file")),
            [],
            1,
            "no such",
        ),
        (an_agent(Status.FAILED, started_at=1), [], 0, ""),
        (an_agent(Status.FAILED, started_at=1), ["--wait", "ended"], 1, "failed"),
        (an_agent(Status.SUCCEEDED, started_at=1), ["--wait", "ended"], 0, ""),
        (an_agent(Status.RUNNING, started_at=1), ["--wait", "running"], 0, ""),
    ],
)
def test_the_exit_code_says_whether_it_was_started_and_if_awaited_how_it_ended(
    muster: Muster, daemon: FakeServer, agent: ManagedAgent, options: list[str], code: int, says: str
) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=agent))
    daemon.on(GET_AGENT, agent)

    said = muster("spawn", *options, "--", "true")

    assert said.code == code
    assert says in said.err
    assert bool(says) == bool(said.err)


def test_a_host_that_was_given_the_spawn_may_refuse_it_before_the_command_returns(
    muster: Muster, relay: FakeServer
) -> None:
    muster.variables["MUSTER_RELAY_URL"] = relay.url
    relay.on(SPAWN, SpawnResponse(agent=an_agent(Status.QUEUED, reason="waits for here to fetch it")))
    relay.on(GET_AGENT, an_agent(Status.REJECTED, cause=REFUSED))

    said = muster("spawn", "--host", "here", "--", "true")

    assert said.code == 5
    assert "policy.providers does not allow claude" in said.err


def test_wait_asks_again_until_it_is_so(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(SPAWN, SpawnResponse(agent=an_agent(Status.STARTING)))
    states = iter([an_agent(Status.STARTING), an_agent(Status.RUNNING)])
    asked: list[Any] = []
    daemon.on(GET_AGENT, lambda call: (asked.append(call.query.wait), next(states))[1])

    said = muster("spawn", "--wait", "running", "--", "true")

    assert (said.code, said.text) == (0, "ag-0123456789ab\n")
    assert asked == ["running", "running"]


def test_a_spawn_here_never_goes_to_the_relay_because_the_daemon_died_just_now(
    home: Home, relay: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay would take the key of `muster spawn --key` for another caller's: two agents."""
    monkeypatch.setenv("MUSTER_HOME", home.state)
    for variable in ("MUSTER_RELAY_URL", "MUSTER_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    home.write_private(home.relay_record, f'{{"pid": 1, "url": "{relay.url}"}}')
    started: list[Home] = []

    with connect(start=lambda home, config: started.append(home)) as server:
        assert (server.kind, len(started)) == ("daemon", 1)
    with connect() as server:
        assert server.kind == "relay"
