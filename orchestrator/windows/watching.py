"""Sees that windows are gone, whatever took them, and does to their agents what was asked for then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog

from orchestrator.agents.record import StopIntent, WindowKey
from orchestrator.agents.registry import Registry
from orchestrator.windows.farewell import CLOSED, DETACHED, ENDED, Farewells
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from relay.wire.windows import Window, WindowState
from spawners import _os
from spawners.errors import SessionEnded

__all__ = ["Watching"]

log = structlog.get_logger()

LOOK_S = 5.0
"""The end of a process is told at once, where the system can tell; else, and while the disk is full, a look
finds it."""
GRACE_S = 5.0
WORDS = {
    CLOSED: "it was closed",
    DETACHED: "detached by its keys",
    ENDED: "its agent had ended",
}
KILLED_WHILE_OPENING = "the daemon was ended while it opened"


class Watching:
    """`stop` ends an agent, as `Supervisor.stop`."""

    def __init__(
        self,
        registry: Registry,
        farewells: Farewells,
        stop: Callable[[str, StopIntent], object],
        boot_id: str,
        look_s: float = LOOK_S,
    ) -> None:
        self._registry = registry
        self._boot_id = boot_id
        self._farewells = farewells
        self._stop = stop
        self._look_s = look_s
        self._runs = False
        self._open: dict[str, str] = {}
        """By agent, with the last word of a window whose end could not be written down yet."""
        self._wanted = asyncio.Event()

    def recover(self) -> None:
        """Take up the windows that an earlier daemon has left. One that had not reported may still do so."""
        for record in self._registry:
            window = record.agent.window
            if window is None:
                continue
            if window.is_open:
                self.watch(record.id)
            elif window.state is WindowState.OPENING:
                self._change(
                    record.id, state=WindowState.FAILED, closed_at=now_ms(), reason=KILLED_WHILE_OPENING
                )
        windows = (record.agent.window for record in self._registry)
        self._farewells.keep_only({window.id for window in windows if window and window.is_open})

    def watch(self, agent_id: str) -> None:
        self._open.setdefault(agent_id, "")
        if self._runs:
            self._await_exit(agent_id)
        self._wanted.set()

    async def run(self) -> None:
        """Look, without end, once the agents are known whose windows may be gone.

        Each window is looked at once its end would be told: until then another may have taken its number.
        """
        self._runs = True
        for agent_id in self._open:
            self._await_exit(agent_id)
        while True:
            for agent_id in list(self._open):
                self._look(agent_id)
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_s if self._open else None):
                    await self._wanted.wait()

    def _await_exit(self, agent_id: str) -> None:
        """Look as soon as its process has ended."""
        record = self._registry.get(agent_id)
        if record is None or record.agent.window is None or record.agent.window.pid is None:
            return
        if record.window is not None and record.window.started is not None:
            _os.on_exit(record.agent.window.pid, partial(self._look, agent_id))

    def _look(self, agent_id: str) -> None:
        record = self._registry.get(agent_id)
        window = record.agent.window if record else None
        if record is None or window is None or not window.is_open:
            self._open.pop(agent_id, None)
            return
        word = self._open.get(agent_id, "")
        if record.window is not None and (word or not self._lives(window, record.window)):
            self.closed(agent_id, window.id, self._farewells.take(window.id) or word)

    def closed(self, agent_id: str, window_id: str, why: str) -> None:
        """Write down that a window is gone. `why` is its last word; empty: it had none."""
        record = self._registry.get(agent_id)
        window = record.agent.window if record else None
        if record is None or window is None or window.id != window_id or not window.is_open:
            return
        self._farewells.take(window_id)
        self._open[agent_id] = why
        reason = WORDS.get(why, "its process is gone")
        try:
            if window.on_close == "stop" and why not in (DETACHED, ENDED):
                with contextlib.suppress(SessionEnded):
                    self._stop(agent_id, StopIntent(by="window", at=now_ms(), grace_s=GRACE_S))
            self._change(agent_id, state=WindowState.CLOSED, closed_at=now_ms(), reason=reason)
        except ApiError as error:  # a full disk: the next look tries again
            log.error("window.not_written", agent=agent_id, error=error.message)
            self._wanted.set()
            return
        log.info("window.closed", agent=agent_id, terminal=window.terminal, why=reason)
        self._open.pop(agent_id, None)

    def _lives(self, window: Window, key: WindowKey) -> bool:
        """Whether its process is there; of one that cannot be seen from here only itself can tell."""
        if key.boot_id and key.boot_id != self._boot_id:
            return False
        if key.started is None or window.pid is None:
            return True
        process = _os.process(window.pid)
        return process is not None and process.started == key.started and not process.zombie

    def _change(self, agent_id: str, **fields: Any) -> None:
        record = self._registry.get(agent_id)
        assert record is not None
        assert record.agent.window is not None
        window: Window = msgspec.structs.replace(record.agent.window, **fields)
        self._registry.change(agent_id, "agent.changed", window=window)
