"""Terminals that do not open, open late or refuse: another one is tried, and a late window closes."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from muster_processes import agent_argv, until
from running import Host, RelayServer
from windows import Desk, terminal

from relay.wire import endpoints
from relay.wire.agents import CauseKind, ManagedAgent, Mode, Status
from relay.wire.errors import ApiError, Code
from relay.wire.steering import StopRequest
from relay.wire.terminal import OpenRequest
from relay.wire.windows import Answer, Window, WindowGone, WindowReport, WindowState

AGENT = "ag-0123456789ab"
QUICK = {"MUSTER_TERMINAL_WINDOW_TIMEOUT": "3"}


class Calling:
    """Somebody who asks for an agent, and waits for its window."""

    def __init__(self, host: Host, *argv: str, **fields: object) -> None:
        self._thread = threading.Thread(target=host.spawn, args=argv, kwargs=fields)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)


def window_of(agent: ManagedAgent) -> Window:
    assert agent.window is not None
    return agent.window


@pytest.fixture
def hasty(make_host: Callable[..., Host], desk: Desk) -> Host:
    """A host that waits three seconds for a window, then takes the terminal that works."""
    host = make_host("host", MUSTER_TERMINAL_APP=terminal(), PTY_TERMINAL=str(desk.folder), **QUICK)
    host.start()
    return host


@pytest.mark.slow
def test_the_next_terminal_is_taken_where_none_reports_and_a_late_window_closes(
    hasty: Host, desk: Desk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    late = terminal("--gate", str(gate))
    agent = hasty.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, terminal=late)
    assert agent.status is Status.RUNNING
    first = desk.pane()
    first.shows("hello")
    waiting = next(pane for pane in desk.panes() if pane.pid != first.pid)
    script = waiting.argv[-1]
    with gate.open("wb"):
        pass
    waiting.gone()
    assert not os.path.exists(script)
    window = window_of(hasty.get(agent.id))
    assert (window.state, window.pid) == (WindowState.OPEN, first.child)


@pytest.mark.slow
def test_a_window_that_was_given_up_is_told_to_close(hasty: Host, desk: Desk) -> None:
    """One that had begun to execute its script, and reports when another window is there."""
    never = {"mode": Mode.TERMINAL, "agent_id": AGENT, "terminal": terminal("--never")}
    with Calling(hasty, *agent_argv("sleep"), **never):
        until(lambda: len(desk.panes()) == 1, "the terminal")
        script = Path(desk.panes()[0].argv[-1])
        token = re.search(r"MUSTER_WINDOW_TOKEN='?([\w-]+)", script.read_text())
    assert token is not None
    assert stat.S_IMODE(script.parent.stat().st_mode) == 0o700
    assert not script.exists()
    window = window_of(hasty.get(AGENT))
    assert window.state is WindowState.OPEN
    report = WindowReport(token=token.group(1), pid=os.getpid(), started=1)
    with hasty.client() as client:
        for window_id in (script.name, window.id, "w-000000000000"):
            path = {"id": window_id}
            assert client.call(endpoints.REPORT_WINDOW, report, path=path).answer is Answer.VOID
            gone = WindowGone(token=report.token, why="closed")
            client.call(endpoints.WINDOW_GONE, gone, path=path)
    assert window_of(hasty.get(AGENT)) == window


def test_only_the_token_opens_a_window_and_only_for_one_process(
    windowed: Host, desk: Desk, tmp_path: Path
) -> None:
    windowed.start()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    gated = {"mode": Mode.TERMINAL, "agent_id": AGENT, "terminal": terminal("--gate", str(gate))}
    with Calling(windowed, *agent_argv("sleep"), **gated):
        until(lambda: len(desk.panes()) == 1, "the terminal")
        script = Path(desk.panes()[0].argv[-1])
        assert stat.S_IMODE(script.stat().st_mode) == 0o700
        token = re.search(r"MUSTER_WINDOW_TOKEN='?([\w-]+)", script.read_text())
        foreign = WindowReport(token="x" * 32, pid=os.getpid(), started=1)
        with windowed.client() as client:
            answer = client.call(endpoints.REPORT_WINDOW, foreign, path={"id": script.name})
        assert answer.answer is Answer.VOID
        assert window_of(windowed.get(AGENT)).state is WindowState.OPENING
        with gate.open("wb"):
            pass
    assert token is not None
    window = window_of(windowed.get(AGENT))
    assert (window.id, window.state) == (script.name, WindowState.OPEN)
    report = WindowReport(token=token.group(1), pid=os.getpid(), started=1)
    with windowed.client() as client:
        answer = client.call(endpoints.REPORT_WINDOW, report, path={"id": window.id})
        client.call(endpoints.WINDOW_GONE, WindowGone(token="x" * 32, why="closed"), path={"id": window.id})
    assert answer.answer is Answer.VOID
    assert window_of(windowed.get(AGENT)) == window


def test_a_launcher_that_fails_is_quoted_and_the_next_one_taken(windowed: Host, desk: Desk) -> None:
    windowed.start()
    failing = terminal("--exit", "3")
    agent = windowed.spawn(*agent_argv("sleep"), mode=Mode.TERMINAL, terminal=failing)
    window = window_of(agent)
    assert window.state is WindowState.OPEN
    assert window.reason is not None
    assert window.reason.startswith("opened after others failed: asked-")
    assert "cannot open display" in window.reason
    assert len(desk.panes()) == 1


def test_with_error_as_the_fallback_no_other_terminal_is_tried(windowed: Host, desk: Desk) -> None:
    windowed.start()
    fields = {"terminal": terminal("--exit", "3"), "terminal_fallback": "error"}
    agent = windowed.spawn(*agent_argv("sleep"), mode=Mode.TERMINAL, **fields)
    assert agent.status is Status.FAILED
    assert agent.cause is not None
    assert "cannot open display" in agent.cause.message
    assert not desk.panes()


def test_without_a_window_it_runs_embedded_and_says_so(blind: Host) -> None:
    agent = blind.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL)
    assert (agent.status, agent.mode) == (Status.RUNNING, Mode.TERMINAL)
    window = window_of(agent)
    assert window.state is WindowState.FAILED
    assert window.reason is not None
    assert "no window could be opened: " in window.reason
    assert "cannot open display" in window.reason
    until(lambda: b"hello" in blind.output(agent.id), "its output")


def test_without_a_window_it_does_not_run_where_that_is_an_error(blind: Host, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    agent = blind.spawn("touch", str(mark), mode=Mode.TERMINAL, terminal_fallback="error")
    assert agent.status is Status.FAILED
    assert agent.cause is not None
    assert agent.cause.kind is CauseKind.UNKNOWN
    assert "no window could be opened" in agent.cause.message
    assert not mark.exists()


def test_a_stop_ends_the_waiting_for_a_window(
    make_host: Callable[..., Host], desk: Desk, tmp_path: Path
) -> None:
    host = make_host("host", MUSTER_TERMINAL_APP=terminal("--never"), PTY_TERMINAL=str(desk.folder))
    host.start()
    mark = tmp_path / "ran"
    with Calling(host, "touch", str(mark), mode=Mode.TERMINAL, agent_id=AGENT):
        until(lambda: len(desk.panes()) == 1, "the terminal")
        with host.client() as client:
            client.call(endpoints.STOP_AGENT, StopRequest(), path={"id": AGENT})
        ended = host.ended(AGENT, timeout_s=10)
    assert ended.status is Status.CANCELLED
    assert ended.cause is not None
    assert (ended.cause.kind, ended.cause.by) == (CauseKind.STOPPED, "local")
    assert not mark.exists()


@pytest.mark.slow
def test_through_the_relay_an_agent_is_spawned_in_a_window_and_opened_again(
    relay: RelayServer, make_member: Callable[..., Host], desk: Desk
) -> None:
    host = make_member("b", MUSTER_TERMINAL_APP=terminal(), PTY_TERMINAL=str(desk.folder))
    argv = agent_argv("print:hello", "sleep")
    queued = relay.spawn(*argv, mode=Mode.TERMINAL, orchestrator_id="b", hold="never")
    agent = relay.get(queued.id, "running")
    pane = desk.pane()
    pane.shows("hello")
    window = window_of(agent)
    assert (window.state, window.pid, window.hold) == (WindowState.OPEN, pane.child, "never")
    shown = relay.host("b")
    assert "custom-" in shown.terminals[0].name

    pane.close()
    until(lambda: window_of(relay.get(agent.id)).state is WindowState.CLOSED, "the relay to hear of it")
    with relay.client() as client:
        result = client.call(endpoints.OPEN_AGENT, OpenRequest(), path={"id": agent.id})
    assert result.action == "opened"
    desk.pane(1).shows("hello")
    assert window_of(relay.get(agent.id)).pid == desk.pane(1).child
    assert relay.stop(agent.id).status is Status.CANCELLED
    desk.pane(1).gone()

    with pytest.raises(ApiError) as refused, relay.client() as client:
        path = {"id": window.id}
        client.call(endpoints.REPORT_WINDOW, WindowReport(token="x", pid=1, started=1), path=path)
    assert refused.value.code is Code.MISDIRECTED
    host.end()


def test_of_two_who_open_a_window_at_once_one_is_asked_to_wait(
    windowed: Host, desk: Desk, tmp_path: Path
) -> None:
    windowed.start()
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.EMBEDDED)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    request = OpenRequest(terminal=terminal("--gate", str(gate)))
    path = {"id": agent.id}

    def ask() -> str:
        with windowed.client() as client:
            return client.call(endpoints.OPEN_AGENT, request, path=path).action

    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask)
        until(lambda: len(desk.panes()) == 1, "the terminal")
        with pytest.raises(ApiError) as refused:
            ask()
        with gate.open("wb"):
            pass
        assert first.result() == "opened"
    assert refused.value.code is Code.BUSY
    assert window_of(windowed.get(agent.id)).pid == desk.pane().child


@pytest.mark.slow
def test_a_window_is_watched_also_after_another_could_not_be_opened(blind: Host, desk: Desk) -> None:
    agent = blind.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, terminal=terminal())
    pane = desk.pane()
    pane.shows("hello")
    before = window_of(blind.get(agent.id))
    late = "/bin/sh -c 'sleep 2; exit 1' {command}"  # longer than between two looks at windows
    with pytest.raises(ApiError) as refused, blind.client() as client:
        request = OpenRequest(terminal=late, new=True)
        client.call(endpoints.OPEN_AGENT, request, path={"id": agent.id})
    assert refused.value.code is Code.CONFLICT
    assert window_of(blind.get(agent.id)) == before
    os.kill(pane.child, 9)
    until(lambda: window_of(blind.get(agent.id)).state is WindowState.CLOSED, "it to be seen gone", 10)


@pytest.mark.slow
def test_a_successor_that_waits_for_its_window_keeps_no_other_waiting(
    make_host: Callable[..., Host], desk: Desk, tmp_path: Path
) -> None:
    host = make_host("host", PTY_TERMINAL=str(desk.folder), MUSTER_TERMINAL_WINDOW_TIMEOUT="60")
    host.start()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    again = {"restart": "on-failure", "restart_limit": 1}
    gated = {"mode": Mode.TERMINAL, "agent_id": AGENT, "terminal": terminal("--gate", str(gate)), **again}
    with Calling(host, *agent_argv("exit:1"), **gated), gate.open("wb"):
        pass
    until(lambda: len(desk.panes()) == 2, "the successor's terminal")
    other = host.spawn(*agent_argv("exit:1"), **again)
    until(lambda: host.get(other.id).restarted_as is not None, "the other's successor", 20)
    follower = host.get(AGENT).restarted_as
    assert follower is not None
    assert host.get(follower).status is Status.STARTING


def test_no_program_is_run_as_a_terminal_for_whoever_may_spawn_none(
    relay: RelayServer, make_member: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_member("b", MUSTER_POLICY_REMOTE_SPAWNS="deny")
    agent = host.spawn(*agent_argv("sleep"), mode=Mode.EMBEDDED)
    until(
        lambda: [agent.id] == [entry.id for entry in relay.host("b").managed_agents],
        "the relay to hear of it",
    )
    mark = tmp_path / "ran"
    request = OpenRequest(terminal=f"touch {mark} {{command}}")
    with pytest.raises(ApiError) as refused, relay.client() as client:
        client.call(endpoints.OPEN_AGENT, request, path={"id": agent.id})
    assert refused.value.code is Code.POLICY_REFUSED
    assert not mark.exists()
    host.end()
