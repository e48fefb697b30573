"""All that a host does with native windows, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.agents.registry import Registry
from orchestrator.sections import Terminal as Settings
from orchestrator.windows.attempts import Attempts
from orchestrator.windows.farewell import Farewells
from orchestrator.windows.finding import Finder, Found
from orchestrator.windows.opening import Manner, NoWindow, Opening
from orchestrator.windows.presence import Presence
from orchestrator.windows.reports import Reports
from orchestrator.windows.scripts import Scripts
from orchestrator.windows.watching import Watching
from relay.wire.agents import SpawnRequest
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home
from relay.wire.terminal import OpenRequest
from relay.wire.windows import Window
from spawners import _os
from spawners.launch import Size
from spawners.scopes import Scopes
from spawners.terminals.window import NotFocused, focus_window

__all__ = ["Shown", "Windows"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """`action` is `focused` or `opened`; `notice` tells of a window that stays open beside the new one."""

    action: str
    notice: str = ""


class Windows:
    """`environment` is a fresh login's; `stop` ends an agent whose window was closed, if that is wanted."""

    def __init__(
        self,
        *,
        home: Home,
        registry: Registry,
        settings: Settings,
        environment: Callable[[], Awaitable[Mapping[str, str]]],
        stop: Callable[[str, StopIntent], object],
        scopes: Scopes | None = None,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._scopes = scopes
        self._scripts = Scripts(home)
        self._opening_for: set[str] = set()
        boot_id = _os.boot_id()
        attempts = Attempts()
        self.finder = Finder(settings, environment)
        presence = Presence(home)
        self.watching = Watching(registry, Farewells(home), presence, stop, boot_id)
        self.reports = Reports(registry, attempts, self.watching, presence, boot_id)
        shelter = None if scopes is None else self._shelter
        timeout_s = float(settings.window_timeout)
        self._opening = Opening(registry, attempts, self._scripts, timeout_s=timeout_s, shelter=shelter)

    def recover(self) -> None:
        """Take up what an earlier daemon has left."""
        self._scripts.sweep()
        self.watching.recover()

    async def found(self, request: SpawnRequest, *, remote: bool) -> Found:
        """Return what a spawn's window may be opened with. Raises `ApiError`, before anything has begun, for
        a terminal that nobody knows, and where there is none and nothing else will do."""
        strict = self.fallback(request) == "error"
        caller = {} if remote else request.desktop
        found = await self.finder.find(request.terminal, caller, alone=strict)
        if not found.candidates and strict:
            raise ApiError(Code.CONFLICT, f"no window can be opened here: {found.problem}")
        return found

    def fallback(self, request: SpawnRequest) -> str:
        return request.terminal_fallback or self._settings.fallback

    def manner(self, request: SpawnRequest) -> Manner:
        return Manner(
            tab=request.tab,
            hold=request.hold or self._settings.hold,
            on_close=request.on_window_close or self._settings.on_window_close,
        )

    async def open(self, record: AgentRecord, found: Found, manner: Manner) -> Size:
        """As `Opening.open`; without a candidate it fails with what the desktop's problem is."""
        if not found.candidates:
            return await self._opening.none(record, found.problem, manner)
        return await self._opening.open(record, found, manner)

    async def show(self, record: AgentRecord, request: OpenRequest, *, remote: bool) -> Shown:
        """Bring the agent's window to the front, or open one where it had one last.

        One that is open and cannot be brought to the front stays open beside the new one, which is the
        agent's window from then on, until it is closed. Raises `ApiError` `conflict` if no window can be
        opened, `invalid` for an unknown terminal, `busy` while another is being opened: of two at once
        neither would know which of them counts.
        """
        if record.id in self._opening_for:
            raise ApiError(Code.BUSY, f"a window of agent {record.id} is just being opened; try again")
        self._opening_for.add(record.id)
        try:
            return await self._show(record, request, remote=remote)
        finally:
            self._opening_for.discard(record.id)

    async def _show(self, record: AgentRecord, request: OpenRequest, *, remote: bool) -> Shown:
        former = record.agent.window
        caller = {} if remote else request.desktop
        stays = ""
        if former is not None and former.is_open:
            stays = "another window was asked for"
            if not request.new and request.terminal in (None, former.terminal):
                handles = record.window.handles if record.window is not None else {}
                stays = await self._focus(former, handles, caller)
                if not stays:
                    return Shown("focused")
        wanted = request.terminal
        manner = Manner(tab=request.tab, hold=self._settings.hold)
        if former is not None:
            wanted = wanted or (self.finder.known(former.terminal) if former.opened_at else None)
            manner = Manner(tab=request.tab, hold=former.hold, on_close=former.on_close)
        found = await self.finder.find(wanted, caller)
        try:
            await self.open(record, found, manner)
        except NoWindow as error:
            raise ApiError(Code.CONFLICT, str(error)) from None
        return Shown("opened", _beside(former, stays) if former is not None and stays else "")

    async def _focus(self, window: Window, handles: Mapping[str, str], caller: Mapping[str, str]) -> str:
        """Return why the window is not in front; empty: it is."""
        terminal = await self.finder.of_name(window.terminal, caller)
        if terminal is None:
            return f"Muster does not know how to bring a window of {window.terminal} to the front"
        try:
            await focus_window(terminal[0], {"TTY": window.tty or "", **handles}, terminal[1])
        except NotFocused as error:
            log.info("window.not_focused", terminal=window.terminal, why=str(error))
            return str(error)
        return ""

    async def _shelter(self, pid: int) -> None:
        if self._scopes is not None:
            await self._scopes.put(pid, f"muster-window-{pid}.scope", "Muster: a terminal's window")


def _beside(former: Window, why: str) -> str:
    stops = "; closing the last of them stops the agent" if former.on_close == "stop" else ""
    return f"the window in {former.terminal} stays open as well ({why}), until its agent ends{stops}"
