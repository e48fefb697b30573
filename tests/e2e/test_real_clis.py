"""The CLIs that people use, asked for through the relay and run on another host, against a stub model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster_processes import is_running, until
from running import Host, RelayServer, environment
from stub_fixtures import StubModel

from relay.wire.health import Scope

CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("claude", "codex", "gemini")]
ALL = [
    *CLIS,
    *(pytest.param(name, marks=pytest.mark.needs(name)) for name in ("opencode", "copilot", "qwen")),
]

Muster = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hosts(
    model: StubModel, home: Path, relay: RelayServer, make_member: Callable[..., Host]
) -> dict[str, Host]:
    """A host whose user is logged in at the stub model's; the model comes first, for its network."""
    return {"b": make_member("b", **model.environment(home))}


@pytest.fixture
def muster(hosts: dict[str, Host], relay: RelayServer, tmp_path: Path) -> Muster:
    """`muster` at a third place, which knows nothing but the relay's address and a token."""
    token = relay.new_token(Scope.OPERATOR)
    variables = environment(tmp_path / "elsewhere", MUSTER_RELAY_URL=relay.url, MUSTER_TOKEN=token)

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli.main", *arguments],
            env=variables, text=True, cwd=tmp_path, capture_output=True, timeout=100, check=False, **options,
        )  # fmt: skip

    return run


@pytest.fixture
def work(tmp_path: Path) -> str:
    folder = tmp_path / "work"
    folder.mkdir()
    return str(folder)


@pytest.mark.parametrize("provider", CLIS)
def test_a_turn_asked_for_at_the_relay_runs_on_the_named_host(
    provider: str, muster: Muster, hosts: dict[str, Host], make_member: Callable[..., Host], work: str
) -> None:
    other = make_member("a")
    prompt = "NONCE=e2e RUN=<<git --version>>"
    ran = muster("run", "--host", "b", "--provider", provider, "--cwd", work, prompt)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("PONG e2e TOOL=")
    (agent_id,) = hosts["b"].agents()
    assert other.agents() == {}
    shown = json.loads(muster("show", agent_id, "--json").stdout)
    assert (shown["status"], shown["provider"], shown["orchestratorId"]) == ("succeeded", provider, "b")
    assert shown["result"].startswith("PONG e2e TOOL=")
    assert "git version" in shown["result"]
    assert shown["providerSessionId"]


@pytest.mark.parametrize("provider", CLIS)
def test_a_turn_that_the_model_refuses_has_failed_and_says_why(
    provider: str, muster: Muster, hosts: dict[str, Host], work: str
) -> None:
    ran = muster("run", "--host", "b", "--provider", provider, "--cwd", work, "FAIL=400")

    assert ran.returncode not in (0, 2, 3, 4, 5), ran.stdout + ran.stderr
    (agent,) = hosts["b"].agents().values()
    assert agent.status == "failed"
    assert agent.cause is not None
    assert "stub failure" in agent.cause.message + (agent.cause.output_tail or "")


@pytest.mark.parametrize("provider", CLIS)
def test_a_turn_outlives_the_daemon_that_started_it(
    provider: str, muster: Muster, hosts: dict[str, Host], model: StubModel, work: str
) -> None:
    prompt = "NONCE=alone SLOW=2"
    spawned = muster("spawn", "--host", "b", "--provider", provider, "--cwd", work, "--json", prompt)
    agent_id = json.loads(spawned.stdout)["id"]
    model.request()
    hosts["b"].kill()
    hosts["b"].start()

    agent = hosts["b"].ended(agent_id)

    assert (agent.status, agent.result) == ("succeeded", "PONG alone")


@pytest.mark.parametrize("provider", ALL)
def test_a_stop_in_the_middle_of_a_turn_leaves_nothing_alive(
    provider: str, muster: Muster, hosts: dict[str, Host], work: str
) -> None:
    prompt = f"NONCE=stopped RUN=<<echo $$ > {work}/tool; exec sleep 1000>>"
    spawned = muster(
        *("spawn", "--host", "b", "--provider", provider, "--cwd", work, "--json", "--approval", "open"),
        *("--env", "IS_SANDBOX=1", "--wait", "running", prompt),
    )
    agent = json.loads(spawned.stdout)
    file = Path(work, "tool")
    until(lambda: file.exists() and file.read_text().endswith("\n"), "the tool to run")
    tool = int(file.read_text())
    assert is_running(tool)

    stopped = muster("stop", agent["id"])

    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    ended = hosts["b"].ended(agent["id"])
    assert ended.status == "cancelled"
    assert ended.exit is not None
    assert ended.exit.survivors == []
    assert not is_running(agent["pid"])
    assert not is_running(tool)


@pytest.mark.needs("claude", "codex", "gemini")
def test_providers_shows_each_with_its_version(muster: Muster) -> None:
    def listed() -> dict[str, Any]:
        found = json.loads(muster("providers", "--host", "b", "--json").stdout)
        return {info["name"]: info for info in found if info["name"] in ("claude", "codex", "gemini")}

    until(lambda: all(info["version"] for info in listed().values()), "the versions")

    assert {name: info["modes"] for name, info in listed().items()} == {
        "claude": ["headless", "embedded"],
        "codex": ["headless", "embedded"],
        "gemini": ["headless", "embedded"],
    }


@pytest.mark.needs("claude")
def test_a_refusal_of_the_provider_is_told_before_anything_runs(
    muster: Muster, hosts: dict[str, Host], work: str
) -> None:
    ran = muster("run", "--host", "b", "--provider", "claude", "--cwd", work, "--model", "--version", "hi")

    assert ran.returncode == 2 or "'--version' is no model" in ran.stderr, ran.stderr
    assert all(agent.pid is None for agent in hosts["b"].agents().values())
