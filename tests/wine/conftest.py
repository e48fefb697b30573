"""A home, and the real `muster` in it, on Windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_command import Muster

from relay.wire.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    root = str(tmp_path / "home")
    return Home(root, root, os.path.join(root, "run"))


@pytest.fixture
def muster(home: Home, tmp_path: Path) -> Iterator[Muster]:
    command = Muster(home, {"PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])})
    command.cwd = str(tmp_path)
    yield command
    command("down", "--stop-agents")
