"""LaunchAgents, against a `launchctl` that answers as macOS' own is described to."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from orchestrator.services import Program, ServiceError, State, launchd

pytestmark = pytest.mark.needs("posix")
PROGRAM = Program(("/opt/bin/python", "-m", "orchestrator.cli.main", "up"), None, "/tmp/log")
FAKE = Path(__file__).parents[2] / "fakes" / "launchctl.py"
DOMAIN = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
TARGET = f"{DOMAIN}/{launchd.LABEL}"
RUNS = State(installed=True, enabled=True, running=True, pid=4321, home="")


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the fake's state, with `launchctl` on PATH and a home beside it."""
    folder = tmp_path / "launchd"
    (tmp_path / "bin").mkdir()
    folder.mkdir()
    program = tmp_path / "bin" / "launchctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "{folder}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def asked(mac: Path) -> list[list[str]]:
    """What has been changed; looking changes nothing."""
    lines = map(json.loads, (mac / "asked").read_text().splitlines())
    return [words for words in lines if not words[0].startswith("print")]


def test_an_agent_is_loaded_seen_and_unloaded(mac: Path, tmp_path: Path) -> None:
    file = tmp_path / "Library/LaunchAgents/musterd.plist"
    assert launchd.state() == State(installed=False, enabled=False, running=False)

    launchd.install(PROGRAM)

    assert asked(mac) == [["enable", TARGET], ["bootout", TARGET], ["bootstrap", DOMAIN, str(file)]]
    assert launchd.place() == str(file)
    assert file.read_text() == launchd.plist(PROGRAM)
    assert launchd.state() == RUNS

    launchd.uninstall()

    assert asked(mac)[-1] == ["bootout", TARGET]
    assert not file.exists()
    assert launchd.state() == State(installed=False, enabled=False, running=False)
    launchd.uninstall()


def test_installing_again_leaves_it_alone_unless_it_is_another_program(mac: Path) -> None:
    launchd.install(PROGRAM)
    before = asked(mac)
    launchd.install(PROGRAM)
    assert asked(mac) == [*before, ["enable", TARGET]]
    before = asked(mac)

    launchd.install(Program(PROGRAM.argv, "/other", PROGRAM.log))  # while the first one still ends

    assert [words[0] for words in asked(mac)[len(before) :]] == ["enable", "bootout", "bootstrap"]
    assert launchd.state() == dataclasses.replace(RUNS, home="/other")


def test_an_agent_that_somebody_else_has_written_is_left_alone(mac: Path) -> None:
    launchd.install(PROGRAM)
    own = Path(launchd.place())
    own.write_text(own.read_text().replace("orchestrator.cli.main", "mine"))
    before = own.read_text()
    for act in (lambda: launchd.install(PROGRAM), launchd.uninstall):
        with pytest.raises(ServiceError, match="move it"):
            act()
    assert own.read_text() == before


def test_one_that_is_switched_off_is_seen_and_switched_on(mac: Path) -> None:
    launchd.install(PROGRAM)
    (mac / "disabled").touch()
    assert not launchd.state().enabled
    launchd.install(PROGRAM)
    assert launchd.state() == RUNS
    (mac / "disabled").touch()
    (mac / "loaded").unlink()
    launchd.install(PROGRAM)
    assert launchd.state() == RUNS


@pytest.mark.parametrize(
    ("code", "hint"),
    [(5, "Login Items"), (125, "not over ssh"), (9, "launchctl print")],
)
def test_a_refusal_is_explained(mac: Path, code: int, hint: str) -> None:
    (mac / "refuse").write_text(str(code))
    with pytest.raises(ServiceError, match=hint):
        launchd.install(PROGRAM)
