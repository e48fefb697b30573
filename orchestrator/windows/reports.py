"""What windows say: that they are open, and why they go. Also to a daemon that did not open them."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from orchestrator.agents.record import AgentRecord, KnownWindow, WindowKey
from orchestrator.agents.registry import Registry
from orchestrator.windows.attempts import Attempt, Attempts, matches
from orchestrator.windows.known import changed, find
from orchestrator.windows.presence import Presence
from orchestrator.windows.watching import Watching
from relay.wire.agents import ManagedAgent, Status
from relay.wire.base import now_ms
from relay.wire.windows import Answer, Window, WindowAnswer, WindowGone, WindowReport, WindowState
from spawners import _os
from spawners.failpoint import failpoint
from spawners.terminals.multiplexers import attaching

__all__ = ["Reports"]

ANSWER_S = 25.0
"""A window asks again after that; shorter than what cuts idle connections."""

HANDLE_MAX = 1024
"""Characters of a variable that names a window: a path and some numbers. A longer one names none."""

NOT_WAITED_FOR = WindowAnswer(answer=Answer.VOID, reason="this window is not waited for any more")


class Reports:
    def __init__(
        self,
        registry: Registry,
        attempts: Attempts,
        watching: Watching,
        presence: Presence,
        boot_id: str,
    ) -> None:
        self._registry = registry
        self._attempts = attempts
        self._watching = watching
        self._presence = presence
        self._boot_id = boot_id

    async def report(self, window_id: str, said: WindowReport) -> WindowAnswer:
        """Note that the window is open; return what it is to do, as soon as that is known.

        The token is good for one process. Repeating the report is safe, also at another daemon.
        """
        attempt = self._attempts.get(window_id)
        record, known = self._owner(window_id, said.token, attempt)
        if record is None or known is None or (attempt is not None and not attempt.take(said)):
            return NOT_WAITED_FOR
        if known.window.pid not in (None, said.pid):
            return NOT_WAITED_FOR
        if not known.window.is_open:
            self._opened(record, known, said)
        failpoint("after_window_reported")
        return await self._answer(record.id, known.window, attempt)

    def gone(self, window_id: str, said: WindowGone) -> None:
        """Note why a window goes."""
        record, _ = self._owner(window_id, said.token, self._attempts.get(window_id))
        if record is not None:
            self._watching.closed(record.id, window_id, said.why)

    def _owner(
        self, window_id: str, token: str, attempt: Attempt | None
    ) -> tuple[AgentRecord, KnownWindow] | tuple[None, None]:
        """Return the agent whose window this is, and what is known of it, if the token is the right one."""
        own = self._registry.get(attempt.agent_id) if attempt is not None else None
        for record in self._registry if attempt is None else filter(None, (own,)):
            known = find(record, window_id)
            if known is not None and matches(token, known.key.token_hash):
                return record, known
        return None, None

    def _opened(self, record: AgentRecord, window: KnownWindow, said: WindowReport) -> None:
        process = _os.process(said.pid)
        # A sandboxed terminal counts processes on its own: that number is somebody else's here.
        known = process is not None and process.started == said.started
        handles = {name: value for name, value in said.handles.items() if len(value) <= HANDLE_MAX}
        key = WindowKey(
            token_hash=window.key.token_hash,
            started=said.started if known else None,
            boot_id=self._boot_id,
            held=self._presence.is_held(window.window.id) is True,
            handles=handles,
        )
        opened = msgspec.structs.replace(
            window.window,
            state=WindowState.OPEN,
            pid=said.pid,
            tty=said.tty or None,
            opened_at=now_ms(),
            closed_at=None,
            reason=None,
            shown_by=attaching(handles) or None,
        )
        known_now = KnownWindow(window=opened, key=key)
        self._registry.change(record.id, "agent.changed", **changed(record, known_now))
        self._watching.watch(record.id)

    async def _answer(self, agent_id: str, window: Window, attempt: Attempt | None) -> WindowAnswer:
        given_up = asyncio.ensure_future(attempt.given_up.wait() if attempt else asyncio.Event().wait())
        settled = asyncio.ensure_future(self._registry.when(agent_id, _is_settled, ANSWER_S))
        try:
            await asyncio.wait((given_up, settled), return_when=asyncio.FIRST_COMPLETED)
            if given_up.done():
                return WindowAnswer(answer=Answer.VOID, reason=attempt.why if attempt else "")
        finally:
            for task in (given_up, settled):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(given_up, settled, return_exceptions=True)
        record = self._registry.get(agent_id)
        if record is None or find(record, window.id) is None:
            return NOT_WAITED_FOR  # it has reported in the moment in which it was given up
        agent = record.agent
        answer, reason = Answer.GO, ""
        if not _is_settled(agent):
            answer = Answer.WAIT
        elif agent.ended and agent.started_at is None:
            stopped = agent.status is Status.CANCELLED
            answer = Answer.VOID if stopped else Answer.FAILED
            reason = agent.cause.message if agent.cause else f"it is {agent.status}"
        return WindowAnswer(answer=answer, agent_id=agent_id, hold=window.hold, reason=reason)


def _is_settled(agent: ManagedAgent) -> bool:
    """Whether its program was executed, or never will be."""
    return agent.pid is not None or agent.ended
