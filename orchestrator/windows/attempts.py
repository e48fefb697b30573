"""Tries to open a window, each with an id and a token that only what runs in the window is given."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable

from relay.wire.windows import WindowReport
from spawners.launch import Size
from spawners.terminals.base import Report

__all__ = ["Attempt", "Attempts", "hashed", "matches"]


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def matches(token: str, token_hash: str) -> bool:
    """Whether it is that token; how long this takes tells nothing."""
    return hmac.compare_digest(hashed(token), token_hash)


class Attempt:
    """One try, as `spawners.terminals.base.Attempt`. Whoever reports first owns the window."""

    def __init__(self, window_id: str, agent_id: str, command: tuple[str, ...], token_hash: str) -> None:
        self.id = window_id
        self.agent_id = agent_id
        self.token_hash = token_hash
        self.given_up = asyncio.Event()
        self.why = ""
        self._command = command
        self._report: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._forget: Callable[[], None] = lambda: None

    @property
    def command(self) -> tuple[str, ...]:
        return self._command

    async def reported(self) -> Report:
        return await asyncio.shield(self._report)

    def void(self, why: str) -> None:
        if not self.given_up.is_set():
            self.why = why
            self.given_up.set()
            self._forget()

    def on_void(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    def take(self, report: WindowReport) -> bool:
        """Take what a window says; False if another process has reported before, or nobody waits any more."""
        if self.given_up.is_set():
            return False
        if self._report.done():
            return self._report.result().pid == report.pid
        size = Size(report.rows, report.columns)
        shown = size if size.valid else Size()
        self._report.set_result(Report(report.pid, report.tty, shown, dict(report.handles)))
        return True


class Attempts:
    """Those that are waited for, by window id. An id that is not here was given up."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}

    def begin(self, agent_id: str, write: Callable[[str, str], tuple[str, ...]]) -> Attempt:
        """Make one; `write` is given its id and token, and returns the command that is to run in it."""
        window_id, token = f"w-{secrets.token_hex(6)}", secrets.token_urlsafe(24)
        attempt = Attempt(window_id, agent_id, write(window_id, token), hashed(token))
        self._attempts[window_id] = attempt
        return attempt

    def get(self, window_id: str) -> Attempt | None:
        return self._attempts.get(window_id)

    def drop(self, window_id: str) -> None:
        self._attempts.pop(window_id, None)
