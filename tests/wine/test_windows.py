"""Windows of the desktop on Windows: a console for an agent, closed, brought back, and gone with a stop."""

from __future__ import annotations

import contextlib
import ctypes
import json
import sys
from ctypes import wintypes
from pathlib import Path

import pytest
from muster_command import Muster, started
from muster_processes import is_running, until

from orchestrator.cli.target import daemon_client
from relay.wire.agents import ManagedAgent, Status
from relay.wire.endpoints import GET_AGENT
from relay.wire.home import Home
from relay.wire.windows import Window, WindowState

pytestmark = [pytest.mark.needs("windows"), pytest.mark.timeout(400)]

HARD = ("a b", "q\"u'o", "%PATH%", ";", "one\ntwo", "\xe9", "", "&calc")
CODE = (
    "import json, os, sys, time; said = [sys.argv[2:], os.environ['MARK'], os.getpid(), os.isatty(0)]; "
    "json.dump(said, open(sys.argv[1] + '.new', 'w')); os.replace(sys.argv[1] + '.new', sys.argv[1]); "
    "time.sleep(3000)"
)
CLOSE = 0x10
"""WM_CLOSE: what the cross at a window's corner sends. Wine ends the programs of that console without their
CTRL_CLOSE_EVENT, so that no last word comes from them: what is seen is that the process is gone."""


def shown(title: str) -> list[int]:
    """The visible windows whose title holds `title`."""
    user = ctypes.WinDLL("user32")  # type: ignore[attr-defined,unused-ignore]
    found: list[int] = []

    def look(window: int, _: int) -> bool:
        text = ctypes.create_unicode_buffer(500)
        user.GetWindowTextW(ctypes.c_void_p(window), text, len(text))
        if title in text.value and user.IsWindowVisible(ctypes.c_void_p(window)):
            found.append(window)
        return True

    kind = ctypes.WINFUNCTYPE(wintypes.BOOL, ctypes.c_void_p, ctypes.c_void_p)  # type: ignore[attr-defined,unused-ignore]
    user.EnumWindows(kind(look), None)
    return found


def close(window: int) -> None:
    ctypes.WinDLL("user32").PostMessageW(ctypes.c_void_p(window), CLOSE, None, None)  # type: ignore[attr-defined,unused-ignore]


def known(home: Home, agent_id: str) -> tuple[ManagedAgent, Window]:
    with contextlib.closing(daemon_client(home)) as client:
        agent = client.call(GET_AGENT, path={"id": agent_id})
    assert agent.window is not None
    return agent, agent.window


def test_an_agent_has_a_console_that_can_be_closed_and_brought_back(
    muster: Muster, home: Home, tmp_path: Path
) -> None:
    muster.variables["MUSTER_TERMINAL_WINDOW_TIMEOUT"] = "60"
    started(muster, "up", "--detach")
    said, mark = tmp_path / "said", "\n".join(HARD)
    words = ["--mode", "terminal", "--terminal", "console", "--terminal-fallback", "error"]
    words += ["--env", f"MARK={mark}", "--json", "--", sys.executable, "-X", "utf8", "-c", CODE]

    spawned = muster("spawn", *words, str(said), *HARD)

    assert spawned.code == 0, spawned.err
    agent_id = spawned.json["id"]
    until(said.exists, "the agent's own words")
    agent, window = known(home, agent_id)
    assert json.loads(said.read_text()) == [list(HARD), mark, agent.pid, True]
    assert (window.state, window.terminal) == (WindowState.OPEN, "console")
    assert window.pid != agent.pid
    assert is_running(window.pid or 0)
    until(lambda: len(shown(agent_id)) == 1, "the console")

    close(shown(agent_id)[0])
    until(lambda: known(home, agent_id)[1].state is WindowState.CLOSED, "the window to be seen closed")
    until(lambda: not shown(agent_id), "the console to be gone")
    assert known(home, agent_id)[0].status is Status.RUNNING
    assert is_running(agent.pid or 0)

    opened = muster("open", agent_id, "--terminal", "console")
    assert opened.code == 0, opened.err
    again = known(home, agent_id)[1]
    assert (again.state, again.pid != window.pid) == (WindowState.OPEN, True)
    until(lambda: len(shown(agent_id)) == 1, "the new console")

    stopped = muster("stop", agent_id)
    assert stopped.code == 0, stopped.err
    until(lambda: not is_running(again.pid or 0), "the window's end")
    until(lambda: not shown(agent_id), "the new console to be gone")
    assert not is_running(agent.pid or 0)
    agent, window = known(home, agent_id)
    assert (agent.status, window.state) == (Status.CANCELLED, WindowState.CLOSED)
