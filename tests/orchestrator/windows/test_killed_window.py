"""That a window is gone is known as soon as its process has ended."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
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


def watch(folder: Path) -> tuple[Registry, Watching, list[tuple[str, StopIntent]]]:
    """Who sees windows go, and what that stops."""
    registry = Registry(Database(str(folder / "host.db")), "here")
    stopped: list[tuple[str, StopIntent]] = []
    farewells = Farewells(Home(str(folder), str(folder), str(folder)))
    watching = Watching(
        registry, farewells, lambda *intent: stopped.append(intent), _os.boot_id(), look_s=SELDOM_S
    )
    return registry, watching, stopped


@pytest.mark.parametrize("recovered", [True, False])
async def test_a_window_that_is_killed_is_known_to_be_gone_without_a_look(
    tmp_path: Path, process: subprocess.Popen[bytes], recovered: bool
) -> None:
    registry, watching, stopped = watch(tmp_path)
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


async def test_a_window_whose_number_another_process_has_taken_is_known_to_be_gone_without_a_look(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    registry, watching, stopped = watch(tmp_path)
    running = asyncio.create_task(watching.run())
    await asyncio.sleep(0)
    other = shown_in(process)
    assert other.window is not None
    assert other.window.started is not None
    earlier = msgspec.structs.replace(other.window, started=other.window.started - 1)
    record = registry.create(msgspec.structs.replace(other, window=earlier))

    watching.watch(record.id)
    await registry.when(record.id, lambda agent: agent.window is not None and not agent.window.is_open, 20)

    running.cancel()
    assert [agent_id for agent_id, _ in stopped] == [record.id]
