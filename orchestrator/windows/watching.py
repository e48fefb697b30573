"""Sees that windows are gone, whatever took them, and does to their agents what was asked for then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from orchestrator.agents.record import KnownWindow, StopIntent, WindowKey
from orchestrator.agents.registry import Registry
from orchestrator.windows.farewell import CLOSED, DETACHED, ENDED, Farewells
from orchestrator.windows.known import find, is_last, over, windows
from orchestrator.windows.presence import Presence
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
        presence: Presence,
        stop: Callable[[str, StopIntent], object],
        boot_id: str,
        look_s: float = LOOK_S,
    ) -> None:
        self._registry = registry
        self._boot_id = boot_id
        self._farewells = farewells
        self._presence = presence
        self._stop = stop
        self._look_s = look_s
        self._runs = False
        self._open: dict[str, str] = {}
        """The agent of each window that is watched."""
        self._words: dict[str, str] = {}
        """The last words of windows whose end could not be written down yet."""
        self._wanted = asyncio.Event()

    def recover(self) -> None:
        """Take up the windows that an earlier daemon has left. One that had not reported may still do so,
        unless another is there to show its agent."""
        for record in self._registry:
            own = record.agent.window
            if own is not None and own.state is WindowState.OPENING:
                fields = {"closed_at": now_ms(), "reason": KILLED_WHILE_OPENING}
                failed = msgspec.structs.replace(own, state=WindowState.FAILED, **fields)
                self._registry.change(record.id, "agent.changed", **over(record, failed, record.window))
            self.watch(record.id)
        self._farewells.keep_only(self._open)
        self._presence.keep_only(self._open)

    def watch(self, agent_id: str) -> None:
        """See the end of each window of the agent that is open."""
        record = self._registry.get(agent_id)
        for known in windows(record) if record else ():
            if known.window.is_open and known.window.id not in self._open:
                self._open[known.window.id] = agent_id
                if self._runs:
                    self._await_exit(known.window.id)
        self._wanted.set()

    async def run(self) -> None:
        """Look, without end, once the agents are known whose windows may be gone.

        Each window is looked at once its end would be told: until then another may have taken its number.
        """
        self._runs = True
        for window_id in self._open:
            self._await_exit(window_id)
        while True:
            for window_id in list(self._open):
                self._look(window_id)
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_s if self._open else None):
                    await self._wanted.wait()

    def _await_exit(self, window_id: str) -> None:
        """Look as soon as its process has ended."""
        known = self._known(window_id)
        if known is not None and known.window.pid is not None and known.key.started is not None:
            _os.on_exit(known.window.pid, partial(self._look, window_id))

    def _look(self, window_id: str) -> None:
        known = self._known(window_id)
        if known is None or not known.window.is_open:
            self._forget(window_id)
            return
        lives = self._lives(known.window, known.key)
        word = self._farewells.read(window_id) or self._words.get(window_id, "")  # left before it ends
        if word or not lives:
            self.closed(self._open[window_id], window_id, word)

    def closed(self, agent_id: str, window_id: str, why: str) -> None:
        """Write down that a window is gone. `why` is its last word; empty: it had none. Whoever closes one of
        several wants to see the agent in another: only with the last of them it is stopped."""
        record = self._registry.get(agent_id)
        known = find(record, window_id) if record else None
        if record is None or known is None or not known.window.is_open:
            return
        self._open[window_id], self._words[window_id] = agent_id, why
        try:
            stops = known.window.on_close == "stop" and why not in (DETACHED, ENDED)
            if stops and is_last(record, window_id):
                with contextlib.suppress(SessionEnded):
                    self._stop(agent_id, StopIntent(by="window", at=now_ms(), grace_s=GRACE_S))
            self._write(agent_id, known, WORDS.get(why, "its process is gone"))
        except ApiError as error:  # a full disk: the next look tries again
            log.error("window.not_written", agent=agent_id, error=error.message)
            self._wanted.set()
            return
        log.info("window.closed", agent=agent_id, terminal=known.window.terminal, why=why)
        self._farewells.remove(window_id)
        self._presence.remove(window_id)
        self._forget(window_id)

    def _lives(self, window: Window, key: WindowKey) -> bool:
        """Whether its process is there; one that cannot be seen from here has held a lock."""
        if key.boot_id and key.boot_id != self._boot_id:
            return False
        if key.started is None or window.pid is None:
            return not key.held or self._presence.is_held(window.id) is not False
        process = _os.process(window.pid)
        return process is not None and process.started == key.started and not process.zombie

    def _known(self, window_id: str) -> KnownWindow | None:
        record = self._registry.get(self._open.get(window_id, ""))
        return find(record, window_id) if record else None

    def _forget(self, window_id: str) -> None:
        self._open.pop(window_id, None)
        self._words.pop(window_id, None)

    def _write(self, agent_id: str, known: KnownWindow, reason: str) -> None:
        record = self._registry.get(agent_id)
        assert record is not None
        fields = {"closed_at": now_ms(), "reason": reason}
        closed = msgspec.structs.replace(known.window, state=WindowState.CLOSED, **fields)
        self._registry.change(agent_id, "agent.changed", **over(record, closed, known.key))
