"""That a window is gone is known as soon as its process has ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from muster_processes import PYTHON, agent_argv
from running import Host
from windows import Desk, terminal

from orchestrator.agents.record import AgentRecord, StopIntent, WindowKey, new_agent_id
from orchestrator.agents.registry import Registry
from orchestrator.store.database import Database
from orchestrator.windows.attempts import Attempts, hashed
from orchestrator.windows.farewell import CLOSED, Farewells
from orchestrator.windows.presence import Presence
from orchestrator.windows.reports import Reports
from orchestrator.windows.watching import Watching
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.home import Home
from relay.wire.windows import Answer, Window, WindowReport, WindowState
from spawners import _os

SELDOM_S = 3600.0
HOLDER = """
import sys
from orchestrator.windows.presence import Presence
from relay.wire.home import Home
lock = Presence(Home(*sys.argv[1:4])).hold("w-0123456789ab")
print("held", flush=True)
input()
"""


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


def watch(
    folder: Path, boot_id: str | None = None
) -> tuple[Registry, Watching, list[tuple[str, StopIntent]]]:
    """Who sees windows go, and what that stops."""
    registry = Registry(Database(str(folder / "host.db")), "here")
    stopped: list[tuple[str, StopIntent]] = []
    home = Home(str(folder), str(folder), str(folder))
    watching = Watching(
        registry, Farewells(home), Presence(home), lambda *intent: stopped.append(intent),
        boot_id or _os.boot_id(), look_s=SELDOM_S,
    )  # fmt: skip
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


async def test_a_window_of_before_a_reboot_is_gone_whoever_has_its_number_now(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    """Start times are counted from the boot: another process may have started as late as it had."""
    registry, watching, _ = watch(tmp_path, "the boot of now")
    record = registry.create(shown_in(process))
    watching.recover()
    running = asyncio.create_task(watching.run())
    await registry.when(record.id, lambda agent: agent.window is not None and not agent.window.is_open, 20)
    running.cancel()
    found = registry.get(record.id)
    assert found is not None
    assert found.agent.window is not None
    assert found.agent.window.state is WindowState.CLOSED


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


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A window as a daemon knows one that runs among other processes than its own: by its lock alone."""
    argv = [sys.executable, "-I", "-c", HOLDER, *[str(tmp_path)] * 3]
    made = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None
    assert made.stdout.readline() == b"held\n"
    yield made
    made.kill()
    made.wait()
    made.stdout.close()


async def test_a_window_whose_process_cannot_be_seen_is_gone_when_its_lock_is(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    registry = Registry(Database(str(tmp_path / "host.db")), "here")
    home = Home(*[str(tmp_path)] * 3)
    presence = Presence(home)
    watching = Watching(registry, Farewells(home), presence, lambda *_: None, _os.boot_id(), look_s=0.01)
    reports = Reports(registry, Attempts(), watching, presence, _os.boot_id())
    agent = ManagedAgent(
        id=new_agent_id(), status=Status.RUNNING, provider="command", mode=Mode.TERMINAL, created_at=5,
        pid=1, window=Window(id="w-0123456789ab"),
    )  # fmt: skip
    registry.create(AgentRecord(agent=agent, directory="/", window=WindowKey(token_hash=hashed("token"))))
    said = WindowReport(token="token", pid=os.getpid(), started=1)  # that number is another's here
    assert (await reports.report("w-0123456789ab", said)).answer is Answer.GO

    running = asyncio.create_task(watching.run())
    await asyncio.sleep(0)
    window = registry.find(agent.id).agent.window
    assert window is not None
    assert window.is_open
    holder.kill()
    ended = await registry.when(agent.id, lambda agent: not (agent.window and agent.window.is_open), 20)

    running.cancel()
    assert ended.agent.window is not None
    assert ended.agent.window.state is WindowState.CLOSED
    assert not list(tmp_path.glob("*.open"))


async def test_a_window_whose_process_cannot_be_seen_says_that_it_goes_to_the_next_daemon(
    tmp_path: Path,
) -> None:
    registry, watching, stopped = watch(tmp_path)
    window = Window(id="w-0123456789ab", state=WindowState.OPEN, pid=1, on_close="stop")
    agent = ManagedAgent(
        id=new_agent_id(), status=Status.RUNNING, provider="command", mode=Mode.TERMINAL, created_at=5,
        window=window,
    )  # fmt: skip
    key = WindowKey(token_hash="", boot_id=_os.boot_id(), held=True)
    registry.create(AgentRecord(agent=agent, directory="/", window=key))
    Farewells(Home(*[str(tmp_path)] * 3)).leave(window.id, CLOSED)  # after which it removes its lock

    watching.recover()
    running = asyncio.create_task(watching.run())
    await registry.when(agent.id, lambda agent: not (agent.window and agent.window.is_open), 20)

    running.cancel()
    assert [agent_id for agent_id, _ in stopped] == [agent.id]


def test_of_locks_only_those_of_windows_that_are_gone_are_cleared_away(tmp_path: Path) -> None:
    presence = Presence(Home(*[str(tmp_path)] * 3))
    held, known, gone = "w-000000000001", "w-000000000002", "w-000000000003"
    lock = presence.hold(held)
    for window_id in (known, gone):
        os.close(presence.hold(window_id))
    (tmp_path / "notes.open").touch()
    presence.keep_only({known})
    assert {path.name for path in tmp_path.iterdir()} == {f"{held}.open", f"{known}.open", "notes.open"}
    assert [presence.is_held(window_id) for window_id in (held, known, gone)] == [True, False, None]
    os.close(lock)


@pytest.mark.parametrize("name", ["../x", "", "w-1", "/tmp/w-000000000001"])
def test_only_a_window_holds_a_lock(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="no window"):
        Presence(Home(*[str(tmp_path)] * 3)).hold(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.needs("unshare")
def test_a_window_in_a_sandbox_is_seen_to_be_gone(make_host: Callable[..., Host], desk: Desk) -> None:
    sandboxed = f"unshare --pid --fork --kill-child --mount-proc {terminal()}"
    host = make_host("host", MUSTER_TERMINAL_APP=sandboxed, PTY_TERMINAL=str(desk.folder))
    host.start()
    argv = agent_argv("print:hello", "sleep")
    agent = host.spawn(*argv, mode=Mode.TERMINAL, on_window_close="stop")
    desk.pane().shows("hello")
    (sandbox,) = (child for child in psutil.Process(host.pid).children() if child.name() == "unshare")
    host.kill()
    host.start()
    window = host.get(agent.id).window
    assert window is not None
    assert window.is_open
    sandbox.kill()
    ended = host.ended(agent.id)
    assert ended.cause is not None
    assert (ended.status, ended.cause.by) == (Status.CANCELLED, "window")
