"""That a window is gone is known as soon as its process has ended."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster_processes import PYTHON

from orchestrator.agents.record import AgentRecord, StopIntent, WindowKey, new_agent_id
from orchestrator.agents.registry import Registry
from orchestrator.store.database import Database
from orchestrator.windows.farewell import Farewells
from orchestrator.windows.watching import Watching
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.home import Home
from relay.wire.windows import Window, WindowState
from spawners import _os

SELDOM_S = 3600.0


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen([PYTHON, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    yield made
    made.kill()
    made.wait()


def shown_in(process: subprocess.Popen[bytes]) -> AgentRecord:
    found = _os.process(process.pid)
    assert found is not None
    window = Window(id="w-0123456789ab", state=WindowState.OPEN, pid=process.pid, on_close="stop")
    agent = ManagedAgent(
        id=new_agent_id(), status=Status.STARTING, provider="command", mode=Mode.TERMINAL, created_at=5,
        window=window,
    )  # fmt: skip
    key = WindowKey(token_hash="", started=found.started, boot_id=_os.boot_id())
    return AgentRecord(agent=agent, directory=f"/nowhere/{agent.id}", window=key)


@pytest.mark.parametrize("recovered", [True, False])
async def test_a_window_that_is_killed_is_known_to_be_gone_without_a_look(
    tmp_path: Path, process: subprocess.Popen[bytes], recovered: bool
) -> None:
    registry = Registry(Database(str(tmp_path / "host.db")), "here")
    stopped: list[tuple[str, StopIntent]] = []
    farewells = Farewells(Home(str(tmp_path), str(tmp_path), str(tmp_path)))
    watching = Watching(
        registry, farewells, lambda *intent: stopped.append(intent), _os.boot_id(), look_s=SELDOM_S
    )
    record = shown_in(process)
    if recovered:
        registry.create(record)
        watching.recover()
    running = asyncio.create_task(watching.run())
    await asyncio.sleep(0)
    if not recovered:
        registry.create(record)
        watching.watch(record.id)

    process.kill()
    ended = await registry.when(
        record.id, lambda agent: agent.window is not None and not agent.window.is_open, 20
    )

    running.cancel()
    assert ended.agent.window is not None
    assert (ended.agent.window.state, ended.agent.window.reason) == (
        WindowState.CLOSED,
        "its process is gone",
    )
    assert [(agent_id, intent.by) for agent_id, intent in stopped] == [(record.id, "window")]


async def test_a_window_of_before_a_reboot_is_gone_whoever_has_its_number_now(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    """Start times are counted from the boot: another process may have started as late as it had."""
    registry = Registry(Database(str(tmp_path / "host.db")), "here")
    farewells = Farewells(Home(str(tmp_path), str(tmp_path), str(tmp_path)))
    watching = Watching(registry, farewells, lambda *_: None, "the boot of now")
    record = registry.create(shown_in(process))
    watching.recover()
    running = asyncio.create_task(watching.run())
    await registry.when(record.id, lambda agent: agent.window is not None and not agent.window.is_open, 20)
    running.cancel()
    found = registry.get(record.id)
    assert found is not None
    assert found.agent.window is not None
    assert found.agent.window.state is WindowState.CLOSED
