"""A scripted interface in a terminal, and what types into it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from muster_processes import PYTHON

from spawners.client import KeeperSpawner
from spawners.launch import Launch, Size
from spawners.providers.manifest import Manifest
from spawners.session import Session
from spawners.typist import Typist
from spawners.watch import Watches

__all__ = ["TUI", "Keyboard", "interface", "tui_argv"]

TUI = str(Path(__file__).with_name("tui.py"))
START_S = 20.0


def tui_argv(*words: str) -> tuple[str, ...]:
    """The command line of a scripted interface (see `tui.py`)."""
    return (PYTHON, "-I", "-S", TUI, *words)


@dataclass
class Keyboard:
    """A running interface, its screen and its typist."""

    session: Session
    watches: Watches
    typist: Typist

    async def screen(self) -> str:
        return "\n".join((await self.watches.look(self.session)).screen.text())

    async def shows(self, text: str) -> str:
        """The screen as soon as it shows `text`."""
        look = await self.watches.look(self.session)
        while text not in "\n".join(look.screen.text()):
            before = look.offset
            look = await self.watches.changed(self.session, before, START_S)
            assert look.offset > before, f"{text!r} is not on the screen:\n" + "\n".join(look.screen.text())
        return "\n".join(look.screen.text())


@pytest.fixture
def interface(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Keyboard]]:
    """Run a scripted interface: `async with interface("paste", "works") as keyboard`."""
    spawner = KeeperSpawner(str(tmp_path / "agents"), str(tmp_path / "s"), str(tmp_path / "cache"))

    @contextlib.asynccontextmanager
    async def run(
        *words: str, manifest: Manifest | None = None, until: str | None = "─"
    ) -> AsyncIterator[Keyboard]:
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        agent_id = f"ag-{os.urandom(6).hex()}"
        session = await spawner.spawn(Launch(agent_id, tui_argv(*words), env, "/", size=Size()))
        watches = Watches()
        watches.respond(session)
        keyboard = Keyboard(session, watches, Typist(session, watches, "it", manifest))
        try:
            if until is not None:
                await keyboard.shows(until)
            yield keyboard
        finally:
            watches.close()
            await session.stop(interrupt_s=0, terminate_s=0)
            await session.detach()

    return run
