"""Fixtures for running the real CLIs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from stub_fixtures import StubModel, home, lonely, model

from spawners.providers.base import Ask
from spawners.providers.registry import BUILTIN

__all__ = ["home", "lonely", "model"]


@pytest.fixture
def ask(model: StubModel, home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Ask:
    """An ask for the CLI the test is parametrized with."""
    provider = request.node.callspec.params["provider"]
    work, state = tmp_path / "work", tmp_path / "state"
    work.mkdir()
    state.mkdir()
    host = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | model.environment(home)
    return Ask(
        mode="headless",
        cwd=str(work),
        env=BUILTIN.environment(BUILTIN.get(provider), host, {}),
        state_dir=str(state),
        executable=shutil.which(provider),
        superuser=os.geteuid() == 0,
    )
