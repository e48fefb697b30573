"""Every implementation of the ports in `spawners.session`; one body of tests holds them all to the text."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from darwin_keeper import darwin_bundle
from muster_processes import agent_argv

from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.errors import SessionLost
from spawners.launch import Launch, Stdin

SHORT = "/tmp" if os.path.isdir("/tmp") else None
"""Where a socket's path stays short."""

KEPT = ("PATH", "SYSTEMROOT")
"""Of our own environment, in that of a scripted agent."""

IMPLEMENTATIONS = [
    "executed",
    pytest.param("forked", marks=pytest.mark.needs("linux")),  # by a zygote
    pytest.param("as on a Mac", marks=[pytest.mark.needs("linux"), pytest.mark.slow]),  # a fake libSystem
]
"""How the keepers of a spawner come to be. The last one takes as long as the two others together."""

also_as_on_a_mac = pytest.mark.parametrize(
    "keepers",
    [*IMPLEMENTATIONS[:2], pytest.param("as on a Mac", marks=pytest.mark.needs("linux"))],
    indirect=True,
)
"""For one test of each kind, so that what breaks there is seen without the slow tests."""


@pytest.fixture(params=IMPLEMENTATIONS)
async def keepers(request: pytest.FixtureRequest) -> AsyncIterator[Keepers]:
    """What makes the keepers of `spawner`."""
    folder = tempfile.mkdtemp(prefix="mu-", dir=SHORT)
    made = Keepers(f"{folder}/cache", zygote=request.param == "forked")
    if request.param == "as on a Mac":
        made._program = darwin_bundle(Path(folder))
    made.begin()
    if request.param == "forked":
        async with asyncio.timeout(60):
            await made.ready()
    yield made
    await made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def spawner(keepers: Keepers) -> AsyncIterator[KeeperSpawner]:
    """An implementation in a short folder of its own; every agent it left is ended afterwards."""
    folder = tempfile.mkdtemp(prefix="mu-", dir=SHORT)
    made = KeeperSpawner(f"{folder}/agents", f"{folder}/s", f"{folder}/cache", keepers=keepers)
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
            "env": {**{name: os.environ[name] for name in KEPT if name in os.environ}, "LANG": "C.UTF-8"},
            "cwd": str(tmp_path),
            "stdin": Stdin(),
        }
        return Launch(**(values | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """What the step `await:FIFO` waits for; open it for writing to let the agent go on."""
    path = tmp_path / "go"
    if hasattr(os, "mkfifo"):  # elsewhere it is a file that is not there yet
        os.mkfifo(path)
    return path
