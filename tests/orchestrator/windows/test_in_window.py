"""`--mode terminal`: the window first, then the program in it; all else is as in every other mode."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import PYTHON, agent_argv, is_running, until
from running import Host
from windows import Desk, terminal

from relay.wire import endpoints
from relay.wire.agents import CauseKind, ManagedAgent, Mode, Status
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import OpenRequest
from relay.wire.windows import Window, WindowState
from spawners.terminals.base import SAFE

TELL = """
import json, os, sys
facts = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "tty": os.ttyname(0),
         "pid": os.getpid(), "size": list(os.get_terminal_size(0)),
         "controls": os.tcgetpgrp(os.open("/dev/tty", os.O_RDWR)) == os.getpgrp()}
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(facts, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
print("told", flush=True)
sys.stdin.readline()
"""
AWKWARD = [
    "a b",
    "q'u\"o",
    "$HOME",
    "`id`",
    "x;y",
    "%s%%",
    "two\nlines",
    "é漢😀",
    "",
    "--",
    "-e",
    "\\",
    "!!",
    "*",
]


@pytest.fixture
def desk(shared_desk: Desk) -> Desk:
    return shared_desk


@pytest.fixture
def windowed(shared_windowed: Host) -> Host:
    return shared_windowed


def window_of(agent: ManagedAgent) -> Window:
    assert agent.window is not None
    return agent.window


def becomes(host: Host, agent_id: str, state: WindowState) -> Window:
    """The agent's window, once it has that state."""
    until(lambda: window_of(host.get(agent_id)).state is state, f"the window of {agent_id} to be {state}")
    return window_of(host.get(agent_id))


def opened(host: Host, agent_id: str, **fields: object) -> str:
    with host.client() as client:
        request = OpenRequest(**fields)  # type: ignore[arg-type]
        return client.call(endpoints.OPEN_AGENT, request, path={"id": agent_id}).action


def test_argv_environment_folder_and_terminal_are_the_agents_own(
    windowed: Host, desk: Desk, tmp_path: Path
) -> None:
    told, folder = tmp_path / "told", tmp_path / "it's a $HOME;é"
    folder.mkdir()
    values = {f"AWKWARD_{number}": value for number, value in enumerate(AWKWARD)}
    agent = windowed.spawn(
        *(PYTHON, "-I", "-S", "-c", TELL, str(told), *AWKWARD),
        mode=Mode.TERMINAL, cwd=str(folder), env=values, label="one 'two'",
    )  # fmt: skip
    desk.pane().shows("told")
    facts = json.loads(told.read_text())

    assert agent.status is Status.RUNNING
    assert facts["argv"] == [str(told), *AWKWARD]
    assert {name: facts["env"].get(name) for name in values} == values
    assert not [name for name in facts["env"] if name.startswith("MUSTER_WINDOW")]
    assert facts["cwd"] == str(folder)
    assert facts["controls"]
    assert facts["size"] == [111, 33]
    window = window_of(agent)
    assert agent.pid == facts["pid"] != window.pid == desk.pane().child
    assert window.tty not in (None, facts["tty"])
    assert (window.state, window.handles["WINDOWID"]) == (WindowState.OPEN, "4242")
    assert agent.size == {"rows": 33, "columns": 111}


def test_the_terminal_is_told_nothing_of_the_agent(windowed: Host, desk: Desk) -> None:
    windowed.spawn(*agent_argv("print:secret-word", "sleep"), mode=Mode.TERMINAL, env={"KEY": "secret-value"})
    pane = desk.pane()
    pane.shows("secret-word")
    assert pane.argv[0] == "/bin/sh"
    assert all(SAFE.fullmatch(word) for word in pane.argv)
    assert not os.path.exists(pane.argv[1])
    assert b"secret-value" not in Path(f"/proc/{pane.child}/environ").read_bytes()
    assert b"one.two" not in pane.raw
    assert pane.raw.startswith(b"\x1b]2;")


def test_closing_the_window_detaches_and_open_brings_one_back(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL)
    desk.pane().shows("hello")
    desk.pane().close()
    window = becomes(windowed, agent.id, WindowState.CLOSED)
    assert window.reason == "it was closed"
    assert window.closed_at is not None
    assert windowed.get(agent.id).status is Status.RUNNING

    assert opened(windowed, agent.id) == "opened"
    desk.pane(1).shows("hello")
    again = becomes(windowed, agent.id, WindowState.OPEN)
    assert again.id != window.id
    assert again.pid == desk.pane(1).child


def test_a_stop_closes_the_window(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, hold="always")
    desk.pane().shows("hello")
    assert windowed.stop(agent.id).status is Status.CANCELLED
    desk.pane().gone()
    assert becomes(windowed, agent.id, WindowState.CLOSED).reason == "its agent had ended"


@pytest.mark.parametrize(
    ("hold", "code", "held"),
    [("error", 7, True), ("error", 0, False), ("always", 0, True), ("never", 7, False)],
)
def test_a_window_is_held_as_asked(windowed: Host, desk: Desk, hold: str, code: int, held: bool) -> None:
    argv = agent_argv("print:last words", "read:3", f"exit:{code}")
    agent = windowed.spawn(*argv, mode=Mode.TERMINAL, hold=hold)
    pane = desk.pane()
    pane.shows("last words")
    pane.type(b"go\n")
    ended = windowed.ended(agent.id)
    assert ended.cause is not None
    assert ended.cause.exit_code == code
    if held:
        pane.shows(f"exit {code} - Enter closes")
        assert b"last words" in pane.raw.rpartition(b"\x1b[?1049l")[2]
        assert window_of(windowed.get(agent.id)).state is WindowState.OPEN
        pane.type(b"\n")
    pane.gone()
    assert "Enter closes" in pane.text or not held
    becomes(windowed, agent.id, WindowState.CLOSED)


def test_what_a_quick_program_has_written_is_there_to_read(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn("sh", "-c", "echo quick words; exit 3", mode=Mode.TERMINAL)
    pane = desk.pane()
    pane.shows("exit 3 - Enter closes")
    assert "quick words" in pane.text
    assert windowed.ended(agent.id).status is Status.FAILED


def test_a_program_that_cannot_be_executed_is_told_in_the_window(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn("no-such-program", mode=Mode.TERMINAL)
    assert agent.status is Status.FAILED
    assert agent.cause is not None
    assert agent.cause.kind is CauseKind.EXEC_FAILED
    pane = desk.pane()
    pane.shows("Enter closes")
    assert "no-such-program" in pane.text
    assert pane.raw.startswith(b"\x1b]2;" + agent.id.encode()), "its title: whose window it is"
    pane.type(b"\n")
    pane.gone()


def test_a_window_that_is_closed_while_it_waits_for_enter_says_so(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn("sh", "-c", "exit 3", mode=Mode.TERMINAL)
    pane = desk.pane()
    pane.shows("Enter closes")
    pane.close()
    assert becomes(windowed, agent.id, WindowState.CLOSED).reason == "it was closed"


def test_closing_the_window_stops_the_agent_where_that_was_asked(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, on_window_close="stop")
    desk.pane().shows("hello")
    desk.pane().close()
    ended = windowed.ended(agent.id)
    assert ended.status is Status.CANCELLED
    assert ended.cause is not None
    assert ended.cause.by == "window"


def test_detaching_by_keys_is_no_close(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL, on_window_close="stop")
    pane = desk.pane()
    pane.shows("hello")
    pane.type(b"\x1dd")
    pane.gone()
    assert becomes(windowed, agent.id, WindowState.CLOSED).reason == "detached by its keys"
    assert windowed.get(agent.id).status is Status.RUNNING


def test_a_killed_window_is_seen_to_be_gone(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL)
    pane = desk.pane()
    pane.shows("hello")
    os.kill(pane.child, 9)
    assert becomes(windowed, agent.id, WindowState.CLOSED).reason == "its process is gone"
    assert windowed.get(agent.id).status is Status.RUNNING


def test_an_embedded_agent_is_shown_in_a_window_and_in_another(windowed: Host, desk: Desk) -> None:
    agent = windowed.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.EMBEDDED)
    assert agent.window is None
    assert opened(windowed, agent.id) == "opened"
    desk.pane().shows("hello")
    assert opened(windowed, agent.id, new=True) == "opened"
    desk.pane(1).shows("hello")
    assert window_of(windowed.get(agent.id)).pid == desk.pane(1).child
    desk.pane(1).close()
    becomes(windowed, agent.id, WindowState.CLOSED)
    assert windowed.get(agent.id).status is Status.RUNNING


def test_what_runs_on_pipes_or_has_ended_gets_no_window(windowed: Host) -> None:
    agent = windowed.spawn("sleep", "600")
    with pytest.raises(ApiError) as refused:
        opened(windowed, agent.id)
    assert refused.value.code is Code.CONFLICT
    windowed.stop(agent.id)
    with pytest.raises(ApiError) as refused:
        opened(windowed, agent.id)
    assert refused.value.code is Code.ENDED


def test_a_successor_gets_a_window_of_its_own(windowed: Host, desk: Desk) -> None:
    argv = agent_argv("print:hello", "read:2", "exit:1")
    agent = windowed.spawn(*argv, mode=Mode.TERMINAL, restart="on-failure", restart_limit=1)
    desk.pane().shows("hello")
    desk.pane().type(b"x\n")
    desk.pane().gone()  # it is not held: another one follows
    desk.pane(1).shows("hello")
    follower = windowed.get(agent.id).restarted_as
    assert follower is not None
    assert windowed.get(follower).mode is Mode.TERMINAL
    assert is_running(windowed.get(follower, "running").pid or 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": Mode.HEADLESS, "terminal": "kitty"}, "terminal is for mode terminal"),
        ({"mode": Mode.EMBEDDED, "on_window_close": "stop"}, "onWindowClose is for mode terminal"),
        ({"mode": Mode.EMBEDDED, "tab": True}, "tab is for mode terminal"),
        ({"mode": Mode.TERMINAL, "hold": "sometimes"}, "hold must be one of"),
        ({"mode": Mode.TERMINAL, "terminal_fallback": "tmux"}, "terminalFallback must be one of"),
        ({"mode": Mode.TERMINAL, "size": {"rows": 24, "columns": 80}}, "size is for mode embedded"),
        ({"mode": Mode.TERMINAL, "desktop": {"LD_PRELOAD": "x"}}, "desktop takes no LD_PRELOAD"),
        ({"mode": Mode.TERMINAL, "terminal": "no-such-terminal"}, "no terminal is called 'no-such-terminal'"),
        ({"mode": Mode.TERMINAL, "terminal": "{command}"}, "must name a program first"),
    ],
)
def test_what_no_window_can_be_is_refused_before_anything_runs(
    windowed: Host, fields: dict[str, object], said: str
) -> None:
    before = windowed.agents().keys()
    with pytest.raises(ApiError, match=said):
        windowed.spawn("true", **fields)
    assert windowed.agents().keys() == before


def test_a_home_with_an_awkward_path_has_its_scripts_elsewhere(
    make_host: Callable[..., Host], desk: Desk
) -> None:
    host = make_host("it's a $HOME", MUSTER_TERMINAL_APP=terminal(), PTY_TERMINAL=str(desk.folder))
    host.start()
    host.spawn(*agent_argv("print:hello", "sleep"), mode=Mode.TERMINAL)
    desk.pane().shows("hello")
    assert all(SAFE.fullmatch(word) for word in desk.pane().argv)
