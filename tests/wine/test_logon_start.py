"""`muster service` on Windows: what is started at logon, run as a logon would."""

from __future__ import annotations

import os
import subprocess

import pytest
from muster_command import Muster, started
from muster_processes import until

from orchestrator.cli.target import daemon_answers
from orchestrator.services import logon
from relay.wire.home import Home

pytestmark = [pytest.mark.needs("windows"), pytest.mark.timeout(280)]


def test_it_is_started_by_the_command_that_windows_runs_at_logon(muster: Muster, home: Home) -> None:
    import winreg

    root = home.state + " \xe9"
    muster.home = home = Home(root, root, os.path.join(root, "run"), tcp=True)
    assert muster("service", "status", "--json").json["installed"] is False
    started(muster, "service", "install")
    told = muster("service", "status", "--json").json
    assert (told["manager"], told["installed"], told["running"]) == ("logon", True, True)
    assert told["home"] in (None, root)  # `reg` may say it in other letters
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, logon.KEY.removeprefix("HKCU\\")) as key:
        command, kind = winreg.QueryValueEx(key, logon.NAME)
    assert kind == winreg.REG_SZ
    assert daemon_answers(home)
    assert muster("down").code == 0
    assert not daemon_answers(home)

    bare = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    subprocess.run(command, env=bare, timeout=60, check=True)

    until(lambda: daemon_answers(home), "the daemon of that home")
    removed = muster("service", "uninstall")
    assert (removed.code, "muster down" in removed.text) == (0, True), removed.err
    assert muster("service", "status", "--json").json["installed"] is False
    assert daemon_answers(home)
    assert muster("down").code == 0
