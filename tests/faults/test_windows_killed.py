"""`kill -9` of the daemon while a window opens or is open: nothing starts twice, and no window hangs."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until
from running import Host
from windows import Desk, terminal

from relay.wire import endpoints
from relay.wire.agents import Mode, Status
from relay.wire.client import Unreachable
from relay.wire.terminal import OpenRequest
from relay.wire.windows import WindowState

slow = partial(pytest.param, marks=pytest.mark.slow)
BEFORE = [
    slow("after_record_created"), "after_window_begun", "after_window_reported", slow("after_window_opened"),
]  # fmt: skip
"""Where nothing of the program is there yet."""
AFTER = [
    slow("after_spec_written"), "after_keeper_started", slow("after_spawned"), "after_running_recorded",
]  # fmt: skip
AGENT = "ag-0123456789ab"


def die_at(host: Host, point: str, *argv: str) -> None:
    host.start(MUSTER_FAILPOINT=point)
    with contextlib.suppress(Unreachable):
        host.spawn(*argv, mode=Mode.TERMINAL, agent_id=AGENT)
    host.died()


@pytest.mark.parametrize("point", BEFORE)
def test_killed_before_the_program_there_is_none_and_the_window_says_so(
    windowed: Host, desk: Desk, tmp_path: Path, point: str
) -> None:
    marks = tmp_path / "started"
    die_at(windowed, point, "sh", "-c", f"echo $$ >> {marks}; exec sleep 600")
    windowed.start()
    ended = windowed.ended(AGENT)
    assert ended.status is Status.FAILED
    assert ended.cause is not None
    assert "killed before the program was started" in ended.cause.message
    assert not marks.exists()
    if point in ("after_window_reported", "after_window_opened"):
        pane = desk.pane()
        pane.shows("Enter closes")
        assert "killed before the program was started" in " ".join(pane.text.split())
        pane.type(b"\n")
        pane.gone()
    window = windowed.get(AGENT).window
    assert window is not None
    until(lambda: state_of(windowed) in (WindowState.CLOSED, WindowState.FAILED), "the window's end")


@pytest.mark.parametrize("point", AFTER)
def test_killed_after_that_the_program_runs_once_and_its_window_shows_it(
    windowed: Host, desk: Desk, tmp_path: Path, point: str
) -> None:
    marks = tmp_path / "started"
    die_at(windowed, point, "sh", "-c", f"echo $$ >> {marks}; echo hello; exec sleep 600")
    windowed.start()
    agent = windowed.get(AGENT, "running")
    assert agent.status is Status.RUNNING
    pane = desk.pane()
    pane.shows("hello")
    assert len(marks.read_text().split()) == 1
    assert len(desk.panes()) == 1
    assert agent.window is not None
    assert (state_of(windowed), agent.window.pid) == (WindowState.OPEN, pane.child)
    pane.close()
    until(lambda: state_of(windowed) is WindowState.CLOSED, "the window to be seen closed")
    assert is_running(agent.pid or 0)


@pytest.mark.parametrize(("keys", "reason"), [(b"\x1dd", "detached by its keys"), (b"", "it was closed")])
def test_what_happens_to_a_window_while_there_is_no_daemon_is_known_to_the_next(
    windowed: Host, desk: Desk, keys: bytes, reason: str
) -> None:
    windowed.start()
    stops = {"on_window_close": "stop"} if keys else {}
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, **stops)
    pane = desk.pane()
    pane.shows("hello")
    windowed.kill()
    pane.type(keys) if keys else pane.close()
    pane.gone()
    assert agent.window is not None
    word = Path(windowed.home.sockets, f"{agent.window.id}.gone")
    others = Path(windowed.home.sockets, "w-0123456789ab.gone")
    others.write_text("closed")
    os.utime(word, (0, 0))  # it is long until somebody starts the next one
    windowed.start()
    assert not others.exists()
    until(lambda: state_of(windowed, agent.id) is WindowState.CLOSED, "the window to be seen closed")
    now = windowed.get(agent.id)
    assert now.status is Status.RUNNING
    assert now.window is not None
    assert now.window.reason == reason
    assert not word.exists()


def test_a_window_killed_while_there_is_no_daemon_stops_its_agent_where_that_was_asked(
    windowed: Host, desk: Desk
) -> None:
    windowed.start()
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, on_window_close="stop")
    desk.pane().shows("hello")
    windowed.kill()
    os.kill(desk.pane().child, 9)
    windowed.start()
    ended = windowed.ended(agent.id)
    assert ended.status is Status.CANCELLED
    assert ended.cause is not None
    assert ended.cause.by == "window"


def test_killed_while_another_window_opens_the_older_one_is_known_again(windowed: Host, desk: Desk) -> None:
    windowed.start()
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL)
    pane = desk.pane()
    pane.shows("hello")
    windowed.kill()
    windowed.start(MUSTER_FAILPOINT="after_window_begun")
    with pytest.raises(Unreachable), windowed.client() as client:
        client.call(endpoints.OPEN_AGENT, OpenRequest(new=True), path={"id": agent.id})
    windowed.died()
    windowed.start()
    assert windowed.get(agent.id).window == agent.window
    pane.close()
    until(lambda: state_of(windowed, agent.id) is WindowState.CLOSED, "the window to be seen closed")


def test_a_window_that_opens_while_there_is_no_daemon_is_known_to_the_next(
    windowed: Host, desk: Desk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    windowed.start()
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.EMBEDDED)

    def ask() -> None:
        request = OpenRequest(terminal=terminal("--gate", str(gate)))
        with contextlib.suppress(Unreachable), windowed.client() as client:
            client.call(endpoints.OPEN_AGENT, request, path={"id": agent.id})

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(desk.panes()) == 1, "the terminal")
    windowed.kill()
    asking.join()
    with gate.open("wb"):
        pass
    until(lambda: any(Path(windowed.home.sockets).glob("*.open")), "the window to run")
    windowed.start()
    until(lambda: state_of(windowed, agent.id) is WindowState.OPEN, "the window to be known")
    desk.pane().shows("hello")


def test_an_open_window_goes_on_over_a_restart_of_the_daemon(windowed: Host, desk: Desk) -> None:
    windowed.start()
    agent = windowed.spawn(*agent_argv("print:hello", "keys"), mode=Mode.TERMINAL)
    pane = desk.pane()
    pane.shows("hello")
    windowed.kill()
    pane.type(b"a\n")
    pane.shows("610a")
    windowed.start()
    window = windowed.get(agent.id).window
    assert window is not None
    assert (window.state, window.pid) == (WindowState.OPEN, pane.child)
    windowed.stop(agent.id)
    pane.gone()


def state_of(host: Host, agent_id: str = AGENT) -> WindowState:
    window = host.get(agent_id).window
    assert window is not None
    return window.state
