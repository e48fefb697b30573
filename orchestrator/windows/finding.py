"""What this host can open a window with, looked at anew each time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from orchestrator.sections import Terminal as Settings
from relay.wire.errors import ApiError, Code
from relay.wire.opening import DESKTOP_NAMES
from relay.wire.windows import DesktopInfo, TerminalInfo
from spawners.terminals.base import Desktop, Terminal
from spawners.terminals.catalog import terminals
from spawners.terminals.choose import Wishes, choose
from spawners.terminals.custom import custom, is_template
from spawners.terminals.desktop import find_desktop

__all__ = ["Finder", "Found", "Installed"]

OWN = ("MUSTER_",)
"""Beginnings of variables that a terminal's other windows must not be given."""

LOOK_S = 2.0
"""Whoever wants to know what a host has does not wait for a desktop that hangs."""


@dataclass(frozen=True, slots=True)
class Found:
    """`candidates` in the order to try, `env` what each is given; `problem` says why there are none, and
    `missed` which were asked for or configured and are none of them, each with why."""

    candidates: tuple[Terminal, ...]
    env: Mapping[str, str]
    problem: str = ""
    missed: tuple[tuple[str, str], ...] = ()


Installed = tuple[list[TerminalInfo], DesktopInfo]


class Finder:
    """`environment` is a fresh login's: its PATH is where terminals are looked for. `last_seen` is what the
    last look at everything has found, None before the first one's end."""

    def __init__(
        self,
        settings: Settings,
        environment: Callable[[], Awaitable[Mapping[str, str]]],
        look_s: float = LOOK_S,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._look_s = look_s
        self._looking: asyncio.Task[Installed] | None = None
        self.last_seen: Installed | None = None

    async def find(self, wanted: str | None, caller: Mapping[str, str], *, alone: bool = False) -> Found:
        """Return what to try for `wanted`, and nothing else if `alone`; `caller` are the variables of whoever
        asks, on this host.

        Raises `ApiError` `invalid` for a terminal that nobody knows.
        """
        desktop, path = await self._look(caller)
        try:
            wishes = Wishes(
                explicit=_meant(wanted or "", "asked"),
                configured=_meant(self._settings.app),
                environ=_around(caller),
            )
            # A folder of PATH may be slow, and macOS' index of programs takes up to a second.
            choice = await asyncio.to_thread(choose, wishes, terminals(), desktop, path)
        except ValueError as error:
            raise ApiError(Code.INVALID, str(error)) from None
        left_out = "; ".join(f"{name}: {why}" for name, why in choice.left_out)
        problem = desktop.problem or left_out or "no terminal is installed"
        found = choice.terminals
        if alone and wishes.explicit:
            found = tuple(terminal for terminal in found if _is_called(terminal, wishes.explicit))
            problem = next((f"{name}: {why}" for name, why in choice.missed), problem)
        return Found(found, _given(desktop, path), problem, choice.missed)

    async def installed(self) -> Installed:
        """Return every terminal that is here, and the desktop as it is now.

        A look that takes long is not waited for; what it finds is in `last_seen` at its end.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_at_all())
        done, _ = await asyncio.wait([self._looking], timeout=self._look_s)
        if not done:
            return [], DesktopInfo(problem=f"looking for it has taken more than {self._look_s:g} s")
        return self._looking.result()

    async def _look_at_all(self) -> Installed:
        desktop, path = await self._look({})
        kind = desktop.kind.value if desktop.kind else ""
        known = DesktopInfo(kind=kind, source=desktop.source, problem=desktop.problem)
        self.last_seen = await asyncio.to_thread(self._infos, desktop, path), known
        return self.last_seen

    def _infos(self, desktop: Desktop, path: str) -> list[TerminalInfo]:
        found = ((terminal, terminal.installed(path)) for terminal in self._all())
        return [
            TerminalInfo(
                name=terminal.name,
                path=program,
                tabs=terminal.tabs,
                focuses=terminal.focuses(desktop, path),
            )
            for terminal, program in found
            if program is not None
        ]

    async def of_name(
        self, name: str, caller: Mapping[str, str]
    ) -> tuple[Terminal, Mapping[str, str]] | None:
        """Return the terminal called `name`, and what to give it; None if nothing is called so."""
        desktop, path = await self._look(caller)
        terminal = next((terminal for terminal in self._all() if terminal.name == name), None)
        return None if terminal is None else (terminal, _given(desktop, path))

    def known(self, name: str) -> str | None:
        """Return `name` if it can be asked for by it; the name of one that was described cannot."""
        return name if any(terminal.name == name for terminal in terminals()) else None

    def _all(self) -> tuple[Terminal, ...]:
        with contextlib.suppress(ValueError):
            own = _meant(self._settings.app)
            if isinstance(own, Terminal):
                return (own, *terminals())
        return terminals()

    async def _look(self, caller: Mapping[str, str]) -> tuple[Desktop, str]:
        login = await self._environment()
        return await find_desktop({**os.environ, **caller}), login.get("PATH", os.defpath)


def _meant(text: str, label: str = "custom") -> str | Terminal:
    """Return the name that was written, or the terminal that it makes if it is an argv."""
    return custom(text, label) if is_template(text) else text


def _is_called(terminal: Terminal, wish: str | Terminal) -> bool:
    return terminal is wish or wish == terminal.name or wish in terminal.programs


def _around(caller: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables of whoever asks; the daemon's own marks tell where it was started, and by whom."""
    if not caller:
        return os.environ
    return {**{name: value for name, value in os.environ.items() if name not in DESKTOP_NAMES}, **caller}


def _given(desktop: Desktop, path: str) -> Mapping[str, str]:
    kept = {name: value for name, value in desktop.env.items() if not name.startswith(OWN)}
    return {**kept, "PATH": path}
