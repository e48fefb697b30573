"""A CLI is told of the owner's consent before it runs, and of nothing that the owner has not given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running import Host

from orchestrator.trust import Trust
from relay.wire.agents import ManagedAgent, Mode, Status

pytestmark = pytest.mark.usefixtures("nothing_left")


def start(host: Host, cwd: Path, settings: Path) -> ManagedAgent:
    settings.mkdir(exist_ok=True)
    env = {"CLAUDE_CONFIG_DIR": str(settings), "FAKE_WORDS": "paste"}
    return host.spawn(provider="claude", mode=Mode.EMBEDDED, cwd=str(cwd), env=env)


def told(settings: Path) -> Any:
    return json.loads((settings / ".claude.json").read_text())


def test_a_folder_is_trusted_once_its_owner_says_so(host: Host, tmp_path: Path) -> None:
    work, settings = tmp_path / "work", tmp_path / "settings"
    work.mkdir()
    start(host, work, settings)
    assert "projects" not in told(settings)

    Trust(host.home).add(str(work))
    start(host, work, settings)
    start(host, tmp_path, settings)

    assert told(settings)["projects"].keys() == {str(work)}
    assert told(settings)["projects"][str(work)]["hasTrustDialogAccepted"] is True


def test_settings_that_cannot_be_read_start_nothing_and_stay(host: Host, tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / ".claude.json").write_text("{broken")

    agent = start(host, tmp_path, settings)

    assert agent.status is Status.FAILED
    assert agent.cause is not None
    assert f"{settings}/.claude.json: it is not valid JSON" in agent.cause.message
    assert "mend that file" in agent.cause.message
    assert (settings / ".claude.json").read_text() == "{broken"
