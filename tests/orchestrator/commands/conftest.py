"""A daemon on whose PATH `claude` is a scripted interface, and headless the shell script FAKE_PRINT; one for
all tests of a module."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Host
from running_fixtures import ledger, speaking_host
from tui_fixtures import tui_argv

__all__ = ["ledger", "speaking_host"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    program = folder / "bin" / "claude"
    program.parent.mkdir()
    argv = shlex.join(tui_argv())
    program.write_text(
        '#!/bin/sh\ncase "$1" in\n--version) echo "2.1.197 (Claude Code)"; exit;;\n'
        '-p) eval "$FAKE_PRINT"; exit;;\nesac\n'
        f"exec {argv} $FAKE_WORDS\n"
    )
    program.chmod(0o755)
    found = Host(folder / "home", PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    found.start()
    yield found
    found.end_agents()


@pytest.fixture
def nothing_left(host: Host) -> Iterator[None]:
    """End every agent after the test, so that none slows the next one."""
    yield
    for agent_id in host.agents("live"):
        host.stop(agent_id, kill=True)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """What the word `await:FIFO` waits for."""
    path = tmp_path / "go"
    os.mkfifo(path)
    return path
