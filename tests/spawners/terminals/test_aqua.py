"""Where windows can be opened on macOS, as a fake `launchctl` tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from darwin_keeper import on_a_mac

pytestmark = pytest.mark.needs("linux")

LOOK = """
from spawners._os import aqua
from spawners.terminals.desktop import find_desktop
os.getuid = lambda: int(os.environ["UID_IS"])
aqua.CONSOLE = os.environ["CONSOLE"]
aqua.ASK_S = float(os.environ.get("ASK_S", aqua.ASK_S))
desktop = asyncio.run(find_desktop({**os.environ}))
print(desktop.kind.value if desktop.kind else desktop.problem)
assert not any(name.startswith("MUSTER_") for name in desktop.env)
"""


def look(tmp_path: Path, launchctl: str, **env: str) -> str:
    program = tmp_path / "launchctl"
    program.write_text(f'#!/bin/sh\n[ "$*" = managername ] || exit 64\n{launchctl}\n')
    program.chmod(0o755)
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "UID_IS": "65534", "CONSOLE": "/dev/null", **env}
    return on_a_mac(LOOK, **given)


def test_a_process_of_the_session_opens_windows(tmp_path: Path) -> None:
    assert look(tmp_path, "echo Aqua") == "desktop\n"


@pytest.mark.parametrize("domain", ["Background", "System", "LoginWindow"])
def test_one_outside_of_it_is_told_where_it_is_and_where_to_go(tmp_path: Path, domain: str) -> None:
    said = look(tmp_path, f"echo {domain}")
    assert f"domain {domain}" in said and "nobody is logged in at the screen" in said


@pytest.fixture
def console(tmp_path: Path) -> Path:
    """The screen's device, which belongs to somebody who is not root."""
    made = tmp_path / "console"
    made.touch()
    if made.stat().st_uid == 0:
        os.chown(made, 65534, -1)
    return made


def test_an_ssh_login_is_told_so_and_whoever_sits_at_the_screen_to_start_it_there(
    tmp_path: Path, console: Path
) -> None:
    me = str(console.stat().st_uid)
    said = look(tmp_path, "echo Background", SSH_CONNECTION="::1 1", CONSOLE=str(console), UID_IS=me)
    assert "came in over ssh" in said and "you are logged in at the screen" in said


def test_windows_of_somebody_else_are_not_ours(tmp_path: Path, console: Path) -> None:
    said = look(tmp_path, "echo Background", CONSOLE=str(console), UID_IS="12345")
    assert "windows open only for that user" in said


def test_root_has_no_desktop(tmp_path: Path) -> None:
    assert "not with sudo" in look(tmp_path, "echo Aqua", UID_IS="0")


@pytest.mark.parametrize("launchctl", ["exit 1", "exec sleep 1000", ":"])
def test_a_launchctl_that_tells_nothing_is_no_desktop(tmp_path: Path, launchctl: str) -> None:
    assert "does not tell" in look(tmp_path, launchctl, ASK_S="0.3")
