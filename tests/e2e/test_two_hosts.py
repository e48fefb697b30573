"""One relay, two hosts, and a person at a third place with nothing but the relay's address."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until
from running import Host, RelayServer, environment
from running_fixtures import Team

from relay.wire.health import Scope

Muster = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def relay(team: Team) -> RelayServer:
    return team.relay


@pytest.fixture
def hosts(team: Team) -> dict[str, Host]:
    return team.hosts


@pytest.fixture
def start_muster(relay: RelayServer, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `muster` where only the relay's address and an operator's token are known."""
    token = relay.new_token(Scope.OPERATOR)
    variables = environment(tmp_path / "elsewhere", MUSTER_RELAY_URL=relay.url, MUSTER_TOKEN=token)

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli.main", *arguments],
            env=variables,
            text=True,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.fixture
def muster(start_muster: Callable[..., subprocess.Popen[str]]) -> Muster:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = start_muster(*arguments)
        out, err = process.communicate(timeout=100)
        assert process.returncode == code, f"{arguments}: exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


def test_a_spawn_named_for_b_runs_on_b(hosts: dict[str, Host], muster: Muster) -> None:
    spawned = json.loads(
        muster("spawn", "--host", "b", "--json", "--wait", "running", "--", *agent_argv("sleep")).stdout
    )
    assert (spawned["status"], spawned["orchestratorId"]) == ("running", "b")
    assert list(hosts["b"].agents("live")) == [spawned["id"]]
    assert hosts["a"].agents("live") == {}
    assert is_running(spawned["pid"])
    assert {host["id"] for host in json.loads(muster("hosts", "--json").stdout)} >= {"a", "b"}
    assert [agent["id"] for agent in json.loads(muster("ps", "-r", "--json").stdout)] == [spawned["id"]]
    shown = json.loads(muster("show", spawned["id"], "--json").stdout)
    assert (shown["pid"], shown["presence"]) == (spawned["pid"], "live")
    muster("stop", spawned["id"])
    assert not is_running(spawned["pid"])
    assert json.loads(muster("show", spawned["id"], "--json").stdout)["status"] == "cancelled"


def test_run_on_another_host_is_like_running_it_here(hosts: dict[str, Host], muster: Muster) -> None:
    ran = muster("run", "--host", "b", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


def test_logs_follow_an_agent_on_another_host_to_its_end(
    hosts: dict[str, Host], muster: Muster, start_muster: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    argv = agent_argv("print:first", f"await:{gate}", "print:last")
    agent_id = json.loads(muster("spawn", "--host", "a", "--json", "--", *argv).stdout)["id"]
    follower = start_muster("logs", "-f", agent_id)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "first\n"
    with gate.open("w"):
        pass
    assert follower.communicate(timeout=60)[0] == "last\n"
    assert follower.returncode == 0
    muster("wait", agent_id)


def test_interrupting_a_run_stops_the_tree_on_the_other_host(
    hosts: dict[str, Host], start_muster: Callable[..., subprocess.Popen[str]]
) -> None:
    run = start_muster("run", "--host", "b", "--", *agent_argv("setsid-child", "pid", "sleep"))
    assert run.stdout is not None
    pids = [int(run.stdout.readline().split()[1]) for _ in range(2)]
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 130
    assert not [pid for pid in pids if is_running(pid)]


def test_placement_goes_by_load_and_label(
    relay: RelayServer, make_member: Callable[..., Host], hosts: dict[str, Host], muster: Muster
) -> None:
    def spawn(*options: str) -> str:
        said = muster("spawn", "-r", "--json", "--wait", "running", *options, "--", "sleep", "600").stdout
        return str(json.loads(said)["orchestratorId"])

    make_member("gpu", "--label", "gpu=yes")

    placed = [spawn() for _ in range(6)]

    assert {placed.count(name) for name in ("a", "b", "gpu")} == {2}
    assert spawn("--place", "gpu=yes") == "gpu"


def test_an_agent_of_a_host_that_is_gone_is_unknown_and_not_dead(
    relay: RelayServer, hosts: dict[str, Host], muster: Muster
) -> None:
    agent = json.loads(
        muster("spawn", "--host", "b", "--json", "--wait", "running", "--", "sleep", "600").stdout
    )
    hosts["b"].kill()
    relay.wait_for_host("b", "offline", 60)
    shown = json.loads(muster("show", agent["id"], "--json").stdout)
    assert (shown["status"], shown["presence"]) == ("running", "unknown")
    muster("send", agent["id"], "hello", code=4)
    hosts["b"].start()
    relay.wait_for_host("b")
    until(lambda: relay.get(agent["id"]).presence == "live", "b to be back")
    assert json.loads(muster("show", agent["id"], "--json").stdout)["presence"] == "live"


def test_what_people_get_wrong_is_said_with_its_exit_code(hosts: dict[str, Host], muster: Muster) -> None:
    wrong = {
        ("spawn", "--host", "nowhere", "--", "true"): (3, "nowhere"),
        ("show", "ag-ffffffffffff"): (3, "ag-ffffffffffff"),
        ("spawn", "--host", "a", "--provider", "nobody", "hello"): (5, "nobody"),
        ("spawn", "--host", "a", "--cwd", "/no/such/place", "--", "true"): (5, "/no/such/place"),
        ("spawn", "--host", "a", "--", "no-such-program"): (1, "was not found in any directory of PATH"),
    }
    for arguments, (code, words) in wrong.items():
        assert words in muster(*arguments, code=code).stderr
