"""An agent on host B asks, and is answered by a person at A who knows nothing but the relay."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from muster_command import Muster
from muster_processes import until
from running import Host, RelayServer
from scripting import define, install
from stub_fixtures import StubModel

from relay.wire import endpoints
from relay.wire.approvals import ApprovalListQuery
from relay.wire.health import Scope
from relay.wire.home import Home

Make = Callable[..., Host]


def muster_at(home: Home, relay: RelayServer, cwd: Path) -> Muster:
    token = relay.new_token(Scope.OPERATOR)
    return Muster(home, {"MUSTER_RELAY_URL": relay.url, "MUSTER_TOKEN": token}, str(cwd))


@pytest.fixture
def b(make_member: Make, tmp_path: Path) -> Host:
    """Host B, which knows the scripted CLI: that asks over ACP before it touches a file."""
    binary = install(tmp_path / "bin")
    define(tmp_path / "b")
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    return make_member("b", PATH=path, SCRIPTED_KEY="k", SCRIPTED_HOME=str(tmp_path))


@pytest.fixture
def a(b: Host, make_member: Make, relay: RelayServer) -> Muster:
    """`muster` on host A, which has a daemon of its own."""
    return muster_at(make_member("a").home, relay, b.directory.parent)


def spawn(muster: Muster, *words: str) -> str:
    said = muster("spawn", "--host", "b", "--json", *words)
    assert said.code == 0, said.err
    return str(said.json["id"])


def asked(muster: Muster, relay: RelayServer, agent_id: str) -> dict[str, Any]:
    """What the agent asks, as A sees it once the relay has heard of it."""

    def there() -> bool:
        with relay.client() as client:
            known = client.call(endpoints.LIST_APPROVALS, query=ApprovalListQuery(agent_id=agent_id))
        return bool(known)

    until(there, f"{agent_id} to ask")
    (found,) = [each for each in muster("approvals", "-r", "--json").json if each["agentId"] == agent_id]
    return found


def test_an_approval_is_given_denied_and_missed_from_another_host(
    a: Muster, b: Host, relay: RelayServer, tmp_path: Path
) -> None:
    made, denied, late = (tmp_path / name for name in ("made", "denied", "late"))
    provider = ("--provider", "scripted", "--cwd", str(tmp_path))
    watching = a.start("approvals", "-r", "--watch", "--json")
    one = spawn(a, *provider, f"TOUCH={made}")
    approval = asked(a, relay, one)
    two = spawn(a, *provider, "--label", "two", f"TOUCH={denied}")
    asked(a, relay, two)
    three = spawn(a, *provider, "--approval-timeout", "1", f"TOUCH={late}")

    listed = a("ps", "--host", "b").text
    assert "blocked" in listed and "asks: " in listed
    assert f"muster approve {approval['id']}" in a("show", "-r", one).text
    approved = a("approve", approval["id"])  # A's own daemon does not know it: the relay is asked next
    assert (approved.code, "allowed by" in approved.text) == (0, True), approved.err
    assert a("deny", "--host", "b", "two", "--reason", "not there").code == 0

    assert [b.ended(each).status for each in (one, two, three)] == ["succeeded"] * 3
    assert [path.exists() for path in (made, denied, late)] == [True, False, False]
    until(lambda: relay.get(three).status == "succeeded", "the relay to know")
    states = {each["agentId"]: each["state"] for each in a("approvals", "-r", "--all", "--json").json}
    assert states == {one: "allowed", two: "denied", three: "expired"}
    assert watching.stdout is not None
    told = [json.loads(watching.stdout.readline()) for _ in range(6)]
    for agent_id, state in states.items():
        assert [each["state"] for each in told if each["agentId"] == agent_id] == ["pending", state]
    again = a("approve", "-r", approval["id"])
    assert (again.code, "was allowed before" in again.err) == (1, True)
    assert a("approve", "-r", "ap-000000000000").code == 3


def test_a_run_says_what_its_agent_asks_and_takes_the_answer_on_a_terminal(a: Muster, tmp_path: Path) -> None:
    words = ["run", "--host", "b", "--provider", "scripted", "--cwd", str(tmp_path)]
    piped = a.start(*words, f"TOUCH={tmp_path}/one")
    assert piped.stderr is not None
    line = piped.stderr.readline().decode()
    assert "asks: " in line and "`muster approve ap-" in line
    assert a("approve", line.partition("`muster approve ")[2].partition("`")[0]).code == 0
    piped.communicate(timeout=60)
    assert piped.returncode == 0

    arguments = ["-m", "orchestrator.cli.main", *words, f"TOUCH={tmp_path}/two"]
    terminal = pexpect.spawn(sys.executable, arguments, env=a.environment(), cwd=a.cwd, timeout=60)
    terminal.expect(r"allow it\? \[y/n\] ")
    terminal.sendline("what")
    terminal.expect(r"allow it\? \[y/n\] ")
    terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert [(tmp_path / name).exists() for name in ("one", "two")] == [True, True]


@pytest.mark.needs("claude")
def test_claude_asks_another_host_goes_on_and_changes_as_it_is_told(
    model: StubModel, home: Path, relay: RelayServer, make_member: Make, tmp_path: Path
) -> None:
    host = make_member("b", **model.environment(home))
    muster = muster_at(make_member("a").home, relay, tmp_path)
    agent_id = spawn(
        muster,
        *("--provider", "claude", "--conversation", "--cwd", str(home)),
        f"NONCE=x RUN=<<touch {tmp_path}/made>>",
    )
    approval = asked(muster, relay, agent_id)
    assert (approval["tool"], f"touch {tmp_path}/made" in approval["input"]) == ("Bash", True)

    assert muster("approve", approval["id"]).code == 0
    until(lambda: host.get(agent_id).activity == "idle", "its turn to end")
    assert (tmp_path / "made").exists()

    refused = muster("set", "-r", agent_id, "--approval", "open")
    assert (refused.code, "nothing was changed" in refused.err) == (1, True)
    assert muster("set", "-r", agent_id, "--model", "haiku").code == 0
    until(lambda: host.get(agent_id).model == "haiku", "claude to confirm it")
    assert muster("interrupt", "-r", agent_id).text == f"{agent_id} idle\n"
    host.stop(agent_id)
    ended = host.get(agent_id)
    assert (ended.model, ended.approvals[0].state) == ("haiku", "allowed")
