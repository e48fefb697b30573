"""`muster` and windows: spawn, run, open, ps, show, doctor."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from muster_command import Muster
from muster_processes import agent_argv, until
from running import Host
from windows import Desk

from relay.wire.agents import Status
from relay.wire.windows import WindowState
from spawners.terminals.catalog import terminals


@pytest.fixture
def desk(shared_desk: Desk) -> Desk:
    return shared_desk


@pytest.fixture
def windowed(shared_windowed: Host) -> Host:
    return shared_windowed


@pytest.fixture
def muster(windowed: Host) -> Iterator[Muster]:
    """The command, at a host that is running."""
    command = Muster(windowed.home, dict(windowed.variables))
    yield command
    command.end()


def spawned(muster: Muster, *options: str) -> str:
    argv = agent_argv("print:hello", "sleep")
    said = muster("spawn", "--mode", "terminal", *options, "--", *argv)
    assert said.code == 0, said.err
    return said.text.strip()


def test_ps_and_show_tell_the_agent_from_its_window(muster: Muster, windowed: Host, desk: Desk) -> None:
    agent_id = spawned(muster, "--label", "shown", "--on-window-close", "stop")
    pane = desk.pane()
    pane.shows("hello")
    agent = windowed.get(agent_id)
    (listed,) = muster("ps", "--json").json
    assert listed["pid"] == agent.pid != pane.child
    assert listed["window"]["pid"] == pane.child
    shown = " ".join(muster("show", "shown").text.split())
    assert f"pid {pane.child}" in shown
    assert "closing it stops the agent" in shown
    assert pane.raw.startswith(b"\x1b]2;shown - " + agent_id.encode())


def test_run_waits_and_exits_with_the_agents_own_code(muster: Muster, desk: Desk) -> None:
    argv = agent_argv("print:hello", "read:2", "exit:7")
    running = muster.start("run", "--mode", "terminal", "--hold", "never", "--", *argv)
    desk.pane().shows("hello")
    desk.pane().type(b"x\n")
    assert running.wait(60) == 7
    desk.pane().gone()
    assert running.stdout is not None
    assert running.stdout.read() == b""


def test_open_shows_any_agent_with_a_terminal(muster: Muster, windowed: Host, desk: Desk) -> None:
    said = muster("spawn", "--mode", "embedded", "--label", "e", "--", *agent_argv("print:hello", "sleep"))
    opened = muster("open", "e")
    assert opened.code == 0, opened.err
    assert opened.text.startswith(f"{said.text.strip()} opened in custom-")
    desk.pane().shows("hello")
    again = muster("open", "e", "--new", "--json").json
    assert again["action"] == "opened"
    assert again["agent"]["window"]["state"] == "open"
    desk.pane(1).shows("hello")
    beside = muster("open", "e")
    assert "opened in custom-" in beside.text
    assert "stays open as well (custom-" in beside.err, "this terminal can bring no window to the front"
    desk.pane(2).shows("hello")
    unknown = muster("open", "e", "--terminal", "no-such-terminal")
    assert unknown.code == 2
    assert "no terminal is called 'no-such-terminal'" in unknown.err


def test_who_gets_another_terminal_than_they_named_is_told(muster: Muster, desk: Desk) -> None:
    absent = next(one.name for one in terminals() if one.installed(os.environ["PATH"]) is None)
    said = muster("spawn", "--mode", "terminal", "--terminal", absent, "--", *agent_argv("sleep"))
    assert said.code == 0
    reason = f"opened after others failed: {absent}: not installed (asked for)"
    assert reason in said.err
    (agent,) = muster("ps", "--json").json
    assert agent["window"]["reason"] == reason
    assert len(desk.panes()) == 1

    opened = muster("open", agent["id"], "--terminal", absent)
    assert reason in opened.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--terminal", "kitty"), "--terminal: only --mode terminal opens a window"),
        (("--mode", "embedded", "--tab", "--hold", "never"), "--tab and --hold: only --mode terminal"),
        (("--mode", "terminal", "--hold", "sometimes"), "--hold must be one of"),
        (
            ("--mode", "terminal", "--on-window-close", "kill"),
            "--on-window-close must be one of detach, stop, not 'kill'",
        ),
        (("--mode", "terminal", "--terminal-fallback", "tmux"), "--terminal-fallback must be one of"),
        (("--mode", "terminal", "--size", "80x24"), "a window has its own"),
        (("--mode", "terminal", "--stdin", "-"), "reads its terminal"),
        (("--mode", "terminal", "--attach"), "--attach goes with --mode embedded"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(muster: Muster, options: tuple[str, ...], said: str) -> None:
    refused = muster("spawn", *options, "--", "true")
    assert refused.code == 2
    assert said in " ".join(refused.err.replace("│", " ").split())


@pytest.mark.slow
def test_without_a_window_spawn_and_run_say_so(blind: Host) -> None:
    muster = Muster(blind.home, dict(blind.variables))
    said = muster("spawn", "--mode", "terminal", "--", *agent_argv("sleep"))
    assert said.code == 0
    assert "no window could be opened" in said.err
    assert f"`muster attach {said.text.strip()}`" in said.err
    assert "no window could be opened" in muster("show", said.text.strip()).text

    ran = muster("run", "--mode", "terminal", "--", *agent_argv("print:hello", "exit:5"))
    assert (ran.code, ran.text) == (5, "hello\n")

    strict = ("--terminal-fallback", "error")
    refused = muster("spawn", "--mode", "terminal", *strict, "--", *agent_argv("sleep"))
    assert refused.code == 1
    assert "no window could be opened" in refused.err


@pytest.mark.slow
def test_doctor_tries_each_terminal_and_leaves_nothing(muster: Muster, windowed: Host, desk: Desk) -> None:
    before = windowed.agents().keys()
    (trial,) = [
        trial for trial in muster("doctor", "--terminals", "--json").json if "custom-" in trial["name"]
    ]
    assert trial["problem"] == ""
    assert trial["openedMs"] > 0
    assert trial["path"].startswith("/")
    assert windowed.agents().keys() == before
    until(lambda: all(pane.closed for pane in desk.started()), "the windows to close")


@pytest.mark.slow
def test_doctor_says_what_is_wrong_with_a_terminal(blind: Host) -> None:
    muster = Muster(blind.home, dict(blind.variables))
    said = muster("doctor", "--terminals")
    assert said.code == 1
    why = "no window could be opened: tmux ended with exit code 1: cannot open display"
    assert f"tmux: {why}" in said.text.splitlines(), "in full, however wide the terminal is"
    trials = muster("doctor", "--terminals", "--json").json
    trial = next(trial for trial in trials if trial["name"].startswith("custom-"))
    assert "cannot open display" in trial["problem"]
    assert trial.get("openedMs") is None


def test_the_window_of_an_agent_is_over_when_it_is_stopped(
    muster: Muster, windowed: Host, desk: Desk
) -> None:
    agent_id = spawned(muster)
    desk.pane().shows("hello")
    assert muster("stop", agent_id).code == 0
    desk.pane().gone()
    assert windowed.get(agent_id).status is Status.CANCELLED

    def closed() -> bool:
        window = windowed.get(agent_id).window
        return window is not None and window.state is WindowState.CLOSED

    until(closed, "the window to be seen closed")
