"""The daemon's eyes: emulates an agent's terminal while somebody asks about it, and then forgets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from spawners.emulation import Emulation
from spawners.errors import NoTerminal
from spawners.launch import SessionRef, Size
from spawners.screen.base import Screen
from spawners.screen.engines import engine_name, open_screen
from spawners.session import Session
from spawners.shared_emulation import SharedEmulation
from spawners.sizes import read_sizes

__all__ = ["Look", "Watches", "look_at"]

FORGET_S = 30.0
"""An emulated screen takes about a megabyte and is made again in milliseconds."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a terminal shows after its output up to `offset`. `screen` is only to be read, and soon."""

    screen: Screen
    offset: int
    engine: str


def look_at(ref: SessionRef) -> Look:
    """Emulate all that is left of a session's output; for one that has ended. Blocks.

    Raises `NoTerminal`.
    """
    if not read_sizes(ref.directory):
        raise NoTerminal(f"{ref.agent_id} runs on pipes and has no screen")
    emulation = Emulation(ref.directory)
    emulation.catch_up()
    return Look(emulation.screen, emulation.offset, engine_name())


def _load_engine() -> None:
    with contextlib.suppress(RuntimeError):  # told where it matters: to whoever wants to look
        open_screen(Size())


class _Watch:
    """One agent's emulation, and when it is to be forgotten."""

    def __init__(self, directory: str) -> None:
        self.emulation = SharedEmulation(directory)
        self.forget: asyncio.TimerHandle | None = None

    async def follow(self) -> Look:
        async with self.emulation.caught_up() as emulation:
            return Look(emulation.screen, emulation.offset, engine_name())


class Watches:
    """The screens that are being looked at, by agent."""

    def __init__(self, forget_s: float = FORGET_S) -> None:
        self._forget_s = forget_s
        self._watches: dict[str, _Watch] = {}
        self._loads = False

    def _of(self, ref: SessionRef) -> _Watch:
        if not read_sizes(ref.directory):
            raise NoTerminal(f"{ref.agent_id} runs on pipes and has no screen")
        watch = self._watches.get(ref.agent_id)
        if watch is None:
            watch = self._watches[ref.agent_id] = _Watch(ref.directory)
        if watch.forget is not None:
            watch.forget.cancel()
        forget: Callable[[], object] = lambda: self._watches.pop(ref.agent_id, None)  # noqa: E731
        watch.forget = asyncio.get_running_loop().call_later(self._forget_s, forget)
        return watch

    async def look(self, session: Session) -> Look:
        """What the agent's terminal shows now. Raises `NoTerminal`."""
        return await self._of(session.ref).follow()

    async def changed(self, session: Session, after_offset: int, timeout_s: float) -> Look:
        """As `look`, as soon as there is output behind `after_offset`, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await session.grown(after_offset)
        except TimeoutError:
            pass
        return await self.look(session)

    async def settle(self, session: Session, quiet_s: float, timeout_s: float) -> Look:
        """As `look`, once the agent has written nothing for `quiet_s`, or after `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        look = await self.look(session)
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            now = await self.changed(session, look.offset, min(quiet_s, left))
            if now.offset == look.offset:
                return now
            look = now
        return look

    def respond(self, session: Session) -> None:
        """Answer what the agent asks its terminal (cursor position, colours …) from now on."""

        async def answers(first: int, upto: int) -> bytes:
            return await self._of(session.ref).emulation.replies(first, upto)

        # The first emulator of a process takes a while to load, and a keeper has a second's patience.
        if not self._loads and read_sizes(session.ref.directory):
            self._loads = True
            asyncio.get_running_loop().run_in_executor(None, _load_engine)
        session.respond(answers)

    def close(self) -> None:
        """Forget all screens."""
        for watch in self._watches.values():
            if watch.forget is not None:
                watch.forget.cancel()
        self._watches.clear()
