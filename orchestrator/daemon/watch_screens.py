"""Reads from the terminals of known interfaces what their agents do, and takes little time for it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass

from orchestrator.daemon.observe import ON_SCREEN, Observer
from relay.wire.agents import Activity
from relay.wire.base import now_ms
from spawners.errors import SpawnerError
from spawners.providers import events
from spawners.providers.manifest import Judgement, Manifest, judge, words_of
from spawners.session import Session
from spawners.watch import Look, Watches

__all__ = ["Screens"]

EVERY_S = 0.5
"""At most so often a terminal that is written to is looked at."""

QUIET_S = 0.3
"""A screen on which nothing was painted for so long has settled: no program paints in such steps."""

SHARE = 0.02
"""Of one processor, for looking at all terminals together; where that is not enough, each waits longer. A
look takes a millisecond."""

MOST_S = 0.005
"""A look that took longer had to make its emulation first, which says nothing about the next."""

LONGEST_S = 16.0
"""Less than after which an emulation is forgotten; to make it anew costs as much as fifty looks."""

NEVER = 2**62
"""No output ever reaches as far as this, so who waits for it waits for the end."""

NO_LETTERS = re.compile(r"[\W\d_]+")
"""A spinner that turns and a clock that runs are no progress."""

ASKED_BEFORE = "?"
"""Stands for the menu that an earlier daemon saw: if the terminal shows none now, it was answered there."""


class Screens:
    """Shared by all that are watched, so that many terminals do not cost more than few."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._lively = 0
        self._cost_s = 0.0005
        self._spent_s = 0.0

    async def watch(self, session: Session, manifest: Manifest, observer: Observer) -> None:
        """Tell `observer` what the terminal shows, whenever that changes, until its output has ended.

        What is shown once has to be shown a second time, or to have settled, before it is told; but that
        the agent works, which nothing is done about.
        """
        seen = _Seen(manifest, observer, menu=ASKED_BEFORE if observer.asking else "")
        offset = -1
        try:
            while True:
                look = await self._look(session)
                settled = not await _grows(session, look.offset)
                self._take(seen, look, settled)
                if settled:
                    await session.grown(look.offset)
                elif look.offset == offset and await _over(session):
                    return  # else an unfinished sequence holds up the emulation
                offset = look.offset
                await self._rest()
        except SpawnerError:
            observer.saw("screen", None, now_ms())  # nobody knows what it shows

    async def _look(self, session: Session) -> Look:
        began = time.thread_time()
        look = await self._watches.look(session)
        self._spent_s += time.thread_time() - began
        return look

    def _take(self, seen: _Seen, look: Look, settled: bool) -> None:
        began = time.thread_time()
        seen.takes(look, settled)
        self._spent_s += time.thread_time() - began
        self._cost_s += (min(self._spent_s, MOST_S) - self._cost_s) / 16
        self._spent_s = 0.0

    async def _rest(self) -> None:
        self._lively += 1
        try:
            await asyncio.sleep(min(max(EVERY_S, self._cost_s * self._lively / SHARE), LONGEST_S))
        finally:
            self._lively -= 1


async def _grows(session: Session, offset: int) -> bool:
    """Whether there is more output before it counts as settled."""
    try:
        async with asyncio.timeout(QUIET_S):
            await session.grown(offset)
    except TimeoutError:
        return False
    return True


async def _over(session: Session) -> bool:
    """Whether its output has ended."""
    try:
        async with asyncio.timeout(0):
            await session.grown(NEVER)
    except TimeoutError:
        return False
    return True


@dataclass(slots=True)
class _Seen:
    """What was seen of one terminal, and what of it was told."""

    manifest: Manifest
    observer: Observer
    last: Judgement | None = None
    told: Judgement | None = None
    text: int = 0
    menu: str = ""
    shown: str = ""

    def takes(self, look: Look, settled: bool) -> None:
        lines = look.screen.text()
        judged = judge(self.manifest, look.screen.title, lines)
        text = hash(NO_LETTERS.sub("", "".join(lines)))
        if text != self.text:
            self.text = text
            self.observer.progressed()
        activity = Activity(judged.activity)
        if judged != self.told and (settled or judged == self.last or activity is Activity.BUSY):
            self.told = judged
            waits = activity in (Activity.BLOCKED, Activity.WAITING_INPUT) or judged.said
            self.observer.saw("screen", activity, now_ms(), judged.reason if waits else "")
        self.last = judged
        # Behind that, for while its screen says that it works nothing is asked.
        if self.manifest.menu is not None and (settled or self.menu or activity is Activity.BLOCKED):
            shown = self.manifest.menu.shown(lines)
            if settled or shown == self.shown:  # codex's title blinks while it asks, so it never settles
                self._asks(shown, look.offset, activity)
            self.shown = shown

    def _asks(self, menu: str, offset: int, activity: Activity) -> None:
        if menu and menu != self.menu:
            self.observer.asks_on_screen(_question(menu, offset))
        elif not menu and activity is Activity.BLOCKED:
            return  # the same question, perhaps, with another answer chosen
        elif self.menu and not menu:
            self.observer.asks_nothing()
        self.menu = menu


def _question(menu: str, offset: int) -> events.ApprovalAsked:
    """The question of a `menu`, where no hook has told more of it. Asked again it is another one."""
    name = hashlib.sha256(f"{offset} {menu}".encode()).hexdigest()[:16]
    return events.ApprovalAsked(f"{ON_SCREEN}{name}", "", title=words_of(menu))
