"""Opens an agent's window: written down first, then launched, until one has reported in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from orchestrator.agents.record import AgentRecord, KnownWindow, WindowKey
from orchestrator.agents.registry import Registry
from orchestrator.windows.attempts import Attempt, Attempts
from orchestrator.windows.finding import Found
from orchestrator.windows.known import changed, find, over, with_new
from orchestrator.windows.scripts import Scripts
from relay.wire.agents import ManagedAgent, Status
from relay.wire.base import now_ms
from relay.wire.windows import Window, WindowState
from spawners.failpoint import failpoint
from spawners.launch import Size
from spawners.terminals.base import Terminal, Wanted
from spawners.terminals.window import NoWindow, Opened, open_window
from spawners.terminals.xwindow import TERMINAL_PID

__all__ = ["Manner", "NoWindow", "Opening"]

log = structlog.get_logger()

IN_ALL_S = 45.0
"""Whoever asked for the agent waits, for a minute at most."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a window is to open and to end."""

    tab: bool = False
    hold: str = "error"
    on_close: str = "detach"


class Opening:
    """`timeout_s` is for one terminal; `shelter` puts a launcher out of the daemon's own unit."""

    def __init__(
        self,
        registry: Registry,
        attempts: Attempts,
        scripts: Scripts,
        *,
        timeout_s: float,
        shelter: Callable[[int], Awaitable[None]] | None,
    ) -> None:
        self._registry = registry
        self._attempts = attempts
        self._scripts = scripts
        self._timeout_s = timeout_s
        self._shelter = shelter

    async def open(self, record: AgentRecord, found: Found, manner: Manner) -> Size:
        """Open a window for the agent and return its size, once it has reported in.

        Raises `NoWindow` with what was tried; the record's window is `failed` then, or one that is still
        open from before. Given up as soon as a stop of the agent has begun.
        """
        begun: list[Attempt] = []
        try:
            opened = await self._unless_stopped(record, self._try(record, found, manner, begun))
        except NoWindow as failure:
            error = NoWindow((*found.missed, *failure.tries))
            self._failed(record.id, _ids(begun), str(error), manner)
            raise error from None
        log.info("window.opened", agent=record.id, terminal=opened.terminal, pid=opened.report.pid)
        self._note(record.id, begun[-1].id, opened, (*found.missed, *opened.failed))
        return opened.report.size

    def _note(
        self, agent_id: str, window_id: str, opened: Opened, others: tuple[tuple[str, str], ...]
    ) -> None:
        """Have the record know what only the opening tells: the terminal's process, by which a window that
        has no other name is found, and why it is not the terminal that was wanted most."""
        record = self._registry.get(agent_id)
        known = find(record, window_id) if record is not None else None
        if record is None or known is None or not known.window.is_open:  # closed meanwhile: the newer reason
            return
        window, key = known.window, known.key
        if opened.launcher_pid is not None:
            handles = {**key.handles, TERMINAL_PID: str(opened.launcher_pid)}
            key = msgspec.structs.replace(key, handles=handles)
        if others:
            tried = "; ".join(f"{name}: {why}" for name, why in others)
            window = msgspec.structs.replace(window, reason=f"opened after others failed: {tried}")
        now = KnownWindow(window=window, key=key)
        if now != known:
            self._registry.change(agent_id, "agent.changed", **changed(record, now))

    async def none(self, record: AgentRecord, why: str, manner: Manner) -> Size:
        """Note that there is nothing to open one with. Raises `NoWindow`, as `open` does."""
        self._failed(record.id, (), why, manner)
        raise NoWindow([("desktop", why)])

    async def _try(self, record: AgentRecord, found: Found, manner: Manner, begun: list[Attempt]) -> Opened:
        def begin(terminal: Terminal) -> Attempt:
            begun.append(self._begin(record.id, terminal, manner, _ids(begun)))
            return begun[-1]

        try:
            async with asyncio.timeout(IN_ALL_S):
                return await open_window(
                    found.candidates,
                    begin,
                    Wanted(f"muster-{record.id}", record.agent.cwd or "/", manner.tab),
                    found.env,
                    timeout_s=self._timeout_s,
                    shelter=self._shelter,
                )
        except BaseException as error:
            for attempt in begun:
                attempt.void("it was not waited for any longer")
            if isinstance(error, TimeoutError):
                raise NoWindow([("all", f"none has reported in within {IN_ALL_S:g} s")]) from None
            if isinstance(error, OSError):
                raise NoWindow([("all", f"the script of a window cannot be written: {error}")]) from None
            raise
        finally:
            for attempt in begun:
                self._scripts.remove(attempt.id)
                self._attempts.drop(attempt.id)

    async def _unless_stopped(self, record: AgentRecord, work: Awaitable[Opened]) -> Opened:
        opening = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._registry.when(record.id, _is_over, None))
        try:
            await asyncio.wait((opening, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
                raise NoWindow([("all", "the agent was stopped meanwhile")])
            return opening.result()
        finally:
            for task in (opening, stopped):
                task.cancel()
            await asyncio.gather(opening, stopped, return_exceptions=True)

    def _begin(self, agent_id: str, terminal: Terminal, manner: Manner, given_up: Collection[str]) -> Attempt:
        handles = tuple(dict.fromkeys((*terminal.handles, "WINDOWID")))
        write = partial(self._written, agent_id=agent_id, handles=handles)
        attempt = self._attempts.begin(agent_id, write)
        attempt.on_void(partial(self._forget, attempt.id))
        window = Window(id=attempt.id, terminal=terminal.name, hold=manner.hold, on_close=manner.on_close)
        new = KnownWindow(window=window, key=WindowKey(token_hash=attempt.token_hash))
        record = self._registry.find(agent_id)
        self._registry.change(agent_id, "agent.changed", **with_new(record, new, given_up))
        failpoint("after_window_begun")
        return attempt

    def _written(
        self, window_id: str, token: str, *, agent_id: str, handles: tuple[str, ...]
    ) -> tuple[str, ...]:
        return self._scripts.write(window_id, agent_id, token, handles)

    def _forget(self, window_id: str) -> None:
        self._attempts.drop(window_id)
        self._scripts.remove(window_id)

    def _failed(self, agent_id: str, tries: Collection[str], why: str, manner: Manner) -> None:
        log.warning("window.not_opened", agent=agent_id, why=why)
        record = self._registry.get(agent_id)
        if record is None:
            return
        own = record.agent.window or Window(id="")
        if own.is_open and own.id not in tries:
            return
        failed = Window(
            id=own.id,
            terminal=own.terminal,
            state=WindowState.FAILED,
            closed_at=now_ms(),
            reason=why,
            hold=manner.hold,
            on_close=manner.on_close,
        )
        self._registry.change(agent_id, "agent.changed", **over(record, failed, None))


def _ids(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    return tuple(attempt.id for attempt in attempts)


def _is_over(agent: ManagedAgent) -> bool:
    return agent.ended or agent.status is Status.STOPPING
