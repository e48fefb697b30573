"""Every implementation of the ports in `spawners.session`; one body of tests holds them all to the text."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from muster_processes import agent_argv

from spawners.client import KeeperSpawner
from spawners.errors import SessionLost
from spawners.launch import Launch, Stdin


def _keeper(folder: str) -> KeeperSpawner:
    return KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache")


IMPLEMENTATIONS: dict[str, Callable[[str], KeeperSpawner]] = {"keeper": _keeper}


@pytest.fixture(params=list(IMPLEMENTATIONS))
async def spawner(request: pytest.FixtureRequest) -> AsyncIterator[KeeperSpawner]:
    """An implementation in a short folder of its own; every agent it left is ended afterwards."""
    folder = tempfile.mkdtemp(prefix="mu-", dir="/tmp")
    made = IMPLEMENTATIONS[request.param](folder)
    try:
        yield made
    finally:
        for ref in made.refs():
            try:
                session = await made.reattach(ref)
                await session.stop(interrupt_s=0, terminate_s=0)
                await session.detach()
            except SessionLost:
                pass
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., Launch]:
    """Make a launch of the scripted agent: `scripted("print:hello", "exit:3", timeout_s=1)`."""

    def make(*steps: str, **fields: object) -> Launch:
        values: dict[str, object] = {
            "agent_id": f"ag-{os.urandom(6).hex()}",  # unlike any other test's: processes are found by it
            "argv": agent_argv(*steps),
            "env": {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            "cwd": str(tmp_path),
            "stdin": Stdin(),
        }
        return Launch(**(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """What the step `await:FIFO` waits for; open it for writing to let the agent go on."""
    path = tmp_path / "go"
    os.mkfifo(path)
    return path
