"""What a host says of itself, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from orchestrator.agents.registry import Registry
from orchestrator.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.daemon.connection import Connection
from orchestrator.daemon.describe import Describer, Inspected
from orchestrator.loginshell import LoginShell
from orchestrator.secrets import Secrets
from orchestrator.store.database import Database
from orchestrator.windows.finding import Finder
from relay.wire.orchestrators import Fence
from spawners.births import Keepers
from spawners.providers.registry import BUILTIN

FENCE = Fence(instance_id="i", epoch=1)


async def login() -> Mapping[str, str]:
    return {"PATH": ""}


def describer(folder: Path, finder: Finder) -> Describer:
    inspected = Inspected(
        str(folder), LoginShell(BUILTIN, str(folder / "shell.json")), Keepers(str(folder), zygote=False)
    )
    return Describer(
        inspected=inspected,
        registry=Registry(Database(str(folder / "host.db")), "h"),
        config=Config(),
        connection=Connection("h", "s", lambda: None),
        capabilities=Capabilities(BUILTIN, login, str(folder / "cli.json"), Secrets(str(folder / "keys"))),
        finder=finder,
        draining=lambda: False,
    )


async def test_a_desktop_that_was_found_late_is_told_once_with_a_heartbeat(tmp_path: Path) -> None:
    waited_for = asyncio.Event()

    async def slow() -> Mapping[str, str]:
        await waited_for.wait()
        return {"PATH": ""}

    finder = Finder(Config().terminal, slow, look_s=0)
    host = describer(tmp_path, finder)
    for _ in range(2):  # it may register again with what the relay knew before
        assert "taken more than" in (await host.registration()).desktop.problem
        assert host.heartbeat(FENCE, 0).desktop is None
        waited_for.set()
        while finder.last_seen is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        beat = host.heartbeat(FENCE, 0)
        assert (beat.terminals, beat.desktop) == finder.last_seen
        assert host.heartbeat(FENCE, 0).desktop is None
        waited_for.clear()
        finder.last_seen = None


async def test_a_desktop_that_was_told_at_the_registration_is_not_told_again(tmp_path: Path) -> None:
    host = describer(tmp_path, Finder(Config().terminal, login))
    assert not (await host.registration()).desktop.problem.startswith("looking")
    assert host.heartbeat(FENCE, 0).desktop is None
