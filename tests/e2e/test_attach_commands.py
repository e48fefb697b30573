"""Attaching from where an agent is started, from another host, and with nothing but its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster_command import MUSTER, Muster
from running import Host, RelayServer, environment
from running_fixtures import Team
from tmux import Pane, Tmux

from relay.wire.agents import Mode, Status

pytestmark = pytest.mark.needs("tmux")
SHELL = ("env", "PS1=ready> ", "bash", "--norc", "--noediting")
SIZE = {"rows": 24, "columns": 80}


@pytest.fixture
def host(shared_host: Host) -> Host:
    """One for all tests here."""
    return shared_host


@pytest.fixture
def muster_in(tmux: Tmux) -> Callable[..., Pane]:
    """Run `muster` in a pane, in a home of its own."""

    def run(home: Path, *words: str, **variables: str) -> Pane:
        known = {**environment(home), "TERM": "xterm-256color", **variables}
        return tmux.pane(["env", "-i", *[f"{key}={value}" for key, value in known.items()], *MUSTER, *words])

    return run


def embedded(server: Host | RelayServer, **facts: object) -> str:
    agent = server.spawn(*SHELL, mode=Mode.EMBEDDED, size=SIZE, **facts)
    return server.get(agent.id, "running").id


# -- where it is started


def test_run_in_a_terminal_attaches_and_exits_with_the_agents_code(
    host: Host, muster_in: Callable[..., Pane]
) -> None:
    pane = muster_in(host.directory, "run", "--mode", "embedded", "--", *SHELL)

    pane.sees("ready>")
    pane.type("stty size; exit 6\r")

    assert pane.ends() == 6


def test_detaching_from_a_run_leaves_it_running(host: Host, muster_in: Callable[..., Pane]) -> None:
    pane = muster_in(host.directory, "run", "--mode", "embedded", "--", *SHELL)
    pane.sees("ready>")

    pane.keys("C-c")
    pane.keys("C-]", "d")

    assert pane.ends() == 0
    assert [agent.status for agent in host.agents("live").values()] == [Status.RUNNING]


def test_spawn_attach_starts_it_in_the_size_of_the_terminal(
    host: Host, muster_in: Callable[..., Pane]
) -> None:
    pane = muster_in(host.directory, "spawn", "--attach", "--mode", "embedded", "--label", "sh", "--", *SHELL)

    pane.sees("ready>")
    pane.type("exit 0\r")

    assert pane.ends() == 0
    assert host.get("sh").size == SIZE


def test_run_without_a_terminal_follows_as_text(host: Host) -> None:
    script = "printf '\\033[31mred\\033[0m\\n'; seq 40; exit 4"

    said = Muster(host.home)("run", "--mode", "embedded", "--", "sh", "-c", script)

    assert said.code == 4
    assert said.text.splitlines() == ["red", *map(str, range(1, 41))]


# -- with nothing but its files


def test_without_a_daemon_it_is_found_by_label_and_by_the_start_of_its_id(
    make_host: Callable[..., Host], muster_in: Callable[..., Pane]
) -> None:
    host = make_host()
    host.start()
    agent_id = embedded(host, label="work")
    host.kill()

    by_label = muster_in(host.directory, "attach", "work")
    by_label.sees("ready>")
    by_label.type("echo $((20 + 22))\r")
    by_label.sees("42")
    by_prefix = muster_in(host.directory, "attach", agent_id[:8])
    by_prefix.sees("42")
    by_label.type("exit 9\r")

    assert [by_label.ends(), by_prefix.ends()] == [9, 9]
    again = Muster(host.home)("attach", "work", "--read-only")
    assert (again.code, "has ended" in again.err) == (1, True)
    (Path(host.home.host_database)).unlink()
    assert Muster(host.home)("attach", agent_id, "--read-only").code == 1
    assert Muster(host.home)("attach", "nobody", "--read-only").code == 4


def test_read_only_without_a_terminal_prints(host: Host) -> None:
    agent = host.spawn("sh", "-c", "echo hello; read x; exit 2", mode=Mode.EMBEDDED, size=SIZE)
    host.get(agent.id, "running")
    viewer = Muster(host.home).start("attach", "--read-only", agent.id)
    assert viewer.stdout is not None

    seen = b""
    while b"hello" not in seen:
        seen += viewer.stdout.read1(4096)
    host.stop(agent.id)

    assert viewer.wait(60) != 0


# -- from another host


@pytest.fixture
def relay(team: Team) -> RelayServer:
    return team.relay


@pytest.fixture
def far(team: Team) -> Host:
    return team.hosts["b"]


@pytest.fixture
def viewer(relay: RelayServer, tmp_path: Path, muster_in: Callable[..., Pane]) -> Callable[..., Pane]:
    """Attach from a machine that has nothing but the relay's address and a token."""

    def run(*words: str) -> Pane:
        token = relay.home.admin_token()
        assert token is not None
        home = tmp_path / "viewer"
        return muster_in(home, "attach", *words, MUSTER_RELAY_URL=relay.url, MUSTER_TOKEN=token)

    return run


def test_over_the_relay_it_survives_the_death_of_daemon_and_relay(
    relay: RelayServer, far: Host, viewer: Callable[..., Pane]
) -> None:
    agent_id = embedded(relay, orchestrator_id="b")
    pane = viewer(agent_id)
    pane.sees("ready>")
    pane.type("echo before $((20 + 22))\r")
    pane.sees("before 42")

    far.kill()
    pane.sees("reconnecting")
    assert "before 42" in pane.text()
    pane.type("lost")
    far.start()
    pane.until(lambda: "reconnecting" not in pane.text())
    pane.type("echo after $((40 + 3))\r")
    pane.sees("after 43")

    relay.kill()
    pane.sees("reconnecting")
    relay.start()
    relay.wait_for_host("b")
    pane.until(lambda: "reconnecting" not in pane.text())
    pane.type("exit 8\r")

    assert pane.ends() == 8


def test_during_an_outage_one_can_leave(relay: RelayServer, far: Host, viewer: Callable[..., Pane]) -> None:
    pane = viewer(embedded(relay, orchestrator_id="b"))
    pane.sees("ready>")
    far.kill()
    pane.sees("reconnecting")

    pane.keys("C-]", "d")

    assert pane.ends() == 0


def test_an_agent_that_ends_during_an_outage_has_its_verdict(
    relay: RelayServer, far: Host, viewer: Callable[..., Pane]
) -> None:
    pane = viewer(embedded(relay, orchestrator_id="b"))
    pane.sees("ready>")
    pane.type("sleep 1; exit 11\r")
    pane.sees("exit 11")
    far.kill()
    pane.sees("reconnecting")
    far.start()

    assert pane.ends() == 11


def test_what_cannot_be_attached_to_says_why(
    relay: RelayServer, far: Host, viewer: Callable[..., Pane]
) -> None:
    headless = relay.spawn("sleep", "60", orchestrator_id="b").id

    pane = viewer(headless)
    assert pane.ends() == 2
    relay.stop(headless)
    pane = viewer(headless)
    assert pane.ends() == 2
    assert viewer("nobody").ends() == 3
