"""Muster as a whole on Windows: its commands, its two servers and agents that outlive them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from muster_command import Muster, Said, started
from muster_processes import until

from orchestrator.cli.target import daemon_answers
from relay.wire.home import Home
from relay.wire.private import is_private

pytestmark = [pytest.mark.needs("windows"), pytest.mark.timeout(280)]

PYTHON = sys.executable
HOSTILE = ('"&echo INJ', "%OS%", "a b", "", "^&|<>", "\xe9")
SHIM = r"""@ECHO off
SETLOCAL
CALL :find_dp0
SET "_prog=python"
"%_prog%"  "%dp0%\node_modules\tool\cli.js" %*
ENDLOCAL
EXIT /b %errorlevel%
:find_dp0
SET dp0=%~dp0
EXIT /b
"""


def right(said: Said) -> Said:
    assert said.code == 0, said.text + said.err
    return said


def test_agents_are_started_shown_stopped_and_outlive_the_daemon(
    muster: Muster, home: Home, tmp_path: Path
) -> None:
    started(muster, "up", "--detach")
    assert is_private(home.daemon_socket)

    ran = muster("run", "--", PYTHON, "-c", "print(6 * 7); raise SystemExit(3)")
    assert (ran.code, ran.text.split()) == (3, ["42"]), ran.err
    inside = muster("run", "--mode", "embedded", "--", PYTHON, "-c", "import os; print(os.isatty(1))")
    assert (inside.code, inside.text.split()) == (0, ["True"]), inside.err

    package = tmp_path / "node_modules" / "tool"
    package.mkdir(parents=True)
    (package / "cli.js").write_text("import json, sys; print(json.dumps(sys.argv[1:]))")
    (tmp_path / "tool.cmd").write_bytes(SHIM.replace("\n", "\r\n").encode())
    called = muster(
        "run", "--env", f"PATH={os.path.dirname(PYTHON)}", "--", str(tmp_path / "tool.cmd"), *HOSTILE
    )
    assert json.loads(called.text) == [*HOSTILE], called.err

    agent = right(muster("spawn", "--json", "--", PYTHON, "-c", "import time; time.sleep(200)")).json
    daemon = home.read_record(home.host_record)
    assert daemon is not None
    os.kill(daemon["pid"], signal.SIGTERM)  # which is a kill here
    until(lambda: not daemon_answers(home), "the daemon's end")
    started(muster, "up", "--detach")
    (shown,) = right(muster("ps", "--json")).json
    assert (shown["id"], shown["pid"], shown["status"]) == (agent["id"], agent["pid"], "running")

    right(muster("stop", agent["id"]))
    assert right(muster("show", "--json", agent["id"])).json["status"] == "cancelled"
    assert right(muster("down")).text.split("\n")[0].strip() == "ended the daemon and the relay"
    assert not any(map(os.path.exists, (home.daemon_socket, home.host_record, home.relay_record)))


def test_the_environment_of_agents_is_the_registry_s_at_that_moment(muster: Muster) -> None:
    started(muster, "up", "--detach")
    key = r"HKCU\Environment"
    for name, kind, value in (
        ("Path", "REG_EXPAND_SZ", r"%USERPROFILE%\new tools"),
        ("HTTPS_PROXY", "REG_SZ", "http://proxy:1"),
    ):
        words = ["reg", "add", key, "/v", name, "/t", kind, "/d", value, "/f"]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    code = "import os; print(os.environ['PATH']); print(os.environ['HTTPS_PROXY'])"
    path, proxy = right(muster("run", "--", PYTHON, "-c", code)).text.splitlines()

    folders = path.lower().split(";")
    assert os.path.expanduser(r"~\new tools").lower() in folders
    assert os.path.join(os.environ["SYSTEMROOT"], "system32").lower() in folders
    assert proxy.strip() == "http://proxy:1"
