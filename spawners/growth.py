"""How far an agent's output has come: who waits for more of it, and what rotation must spare for them."""

from __future__ import annotations

import asyncio

from spawners.frames import RELEASE, Kind
from spawners.line import Line

__all__ = ["Growth"]

HOLD_STEP = 1024 * 1024
"""A follower's progress is told to the keeper in such steps, to save frames."""


class Growth:
    """Many followers share one WAIT and one HOLD on the line, renewed whenever there is a new line."""

    def __init__(self) -> None:
        self.end = 0
        self.final = False
        self._line: Line | None = None
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._asked = False
        self._holds: dict[object, int] = {}
        self._told = RELEASE

    def connect(self, line: Line) -> None:
        """Go on over `line`."""
        self._line, self._asked, self._told = line, False, RELEASE
        self._tell_hold()
        self._ask()

    def disconnect(self) -> None:
        self._line, self._asked = None, False

    def reached(self, end: int, final: bool) -> None:
        """The keeper said so: output is there up to `end`; with `final`, none will follow."""
        self._asked = False
        self.end = max(self.end, end)
        self.final = self.final or final
        for future, offset in list(self._waiting.items()):
            if (self.final or self.end > offset) and not future.done():
                future.set_result(None)
        self._ask()

    async def beyond(self, offset: int) -> None:
        """Return once there is output behind `offset`, or never will be."""
        if self.final or self.end > offset:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = offset
        try:
            self._ask()
            await future
        finally:
            self._waiting.pop(future, None)

    def _ask(self) -> None:
        pending = [offset for future, offset in self._waiting.items() if not future.done()]
        if pending and self._line is not None and not self._asked:
            self._asked = True
            self._line.tell_offset(Kind.WAIT, min(pending))

    def hold(self, follower: object, offset: int) -> None:
        """Spare everything from `offset` on for `follower`, until its hold moves on or is released."""
        self._holds[follower] = offset
        self._tell_hold()

    def release(self, follower: object) -> None:
        self._holds.pop(follower, None)
        self._tell_hold()

    def _tell_hold(self) -> None:
        lowest = min(self._holds.values(), default=RELEASE)
        moved = lowest < self._told or lowest - self._told >= HOLD_STEP
        if self._line is not None and moved and lowest != self._told:
            self._told = lowest
            self._line.tell_offset(Kind.HOLD, lowest)
