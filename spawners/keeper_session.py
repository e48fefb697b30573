"""`KeeperSession`: the `Session` of an agent that a keeper process owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from spawners import _os
from spawners.directory import AgentDirectory
from spawners.errors import (
    SessionBusy,
    SessionEnded,
    SpawnerError,
)
from spawners.frames import MAX_INPUT, MAX_PASTE, Kind
from spawners.launch import (
    Chunk,
    Exit,
    Gap,
    Identity,
    Resized,
    SessionRef,
    Size,
    TerminalState,
    Typed,
    Viewer,
)
from spawners.line import Line, LineLost, Refused
from spawners.mended_line import MendedLine, explained
from spawners.recovery import signal_keeper
from spawners.sizes import Sizes

__all__ = ["KeeperSession"]

GIVE_AGAIN_S = 0.2
"""A keeper queues a megabyte for a program that does not read, and refuses more."""

LEFTOVERS_S = 15.0
"""A keeper gives up killing after ten."""


class KeeperSession(MendedLine):
    """What may be asked of an agent and its keeper, over a line that mends itself."""

    def __init__(self, ref: SessionRef, identity: Identity, started_ms: int) -> None:
        super().__init__(ref)
        self._identity = identity
        self._started_ms = started_ms

    @classmethod
    def alive(cls, ref: SessionRef, hello: dict[str, Any], line: Line) -> KeeperSession:
        """The session behind `line`, whose keeper has said `hello`."""
        identity = _identity(hello)
        session = cls(ref, identity, hello["startedMs"])
        session._take(line, hello)
        return session

    @classmethod
    def unheard(cls, ref: SessionRef, identity: Identity, started_ms: int) -> KeeperSession:
        """The session of a keeper that lives but does not answer yet; it goes on trying to reach it."""
        session = cls(ref, identity, started_ms)
        session.on_lost()
        return session

    @classmethod
    def ended(cls, ref: SessionRef, identity: Identity, record: Exit) -> KeeperSession:
        """The session of a program that has ended; its output can still be read."""
        session = cls(ref, identity, record.started_ms)
        session._finish(record)
        return session

    @property
    def ref(self) -> SessionRef:
        return self._ref

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def started_ms(self) -> int:
        return self._started_ms

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def output(self, offset: int = 0, *, follow: bool = False) -> AsyncIterator[Chunk | Gap | Resized]:
        follower, sizes = object(), Sizes(self._ref.directory, offset)
        if follow:
            self._growth.hold(follower, offset)
        try:
            while True:
                final, known = self._growth.final, self._growth.end  # before the read, which sees as much
                pieces = self._spool.read(offset)
                if not pieces and known > offset:
                    pieces = [Gap(offset, known)]
                for piece in sizes.merged(pieces):
                    yield piece
                    offset = piece.end
                if pieces and follow:
                    self._growth.hold(follower, offset)
                    await asyncio.sleep(0)  # a fast agent must not keep everyone else from running
                elif not pieces:
                    if final or not follow or self._detached:
                        return
                    await self._growth.beyond(offset)
        finally:
            self._growth.release(follower)

    async def grown(self, offset: int) -> None:
        await self._growth.beyond(offset)

    async def write(self, data: bytes, *, timeout_s: float = 10.0) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        line = await self._reach()
        written = 0
        try:
            while written < len(data):
                piece = data[written : written + MAX_INPUT]
                left = deadline - asyncio.get_running_loop().time()
                taken = await line.send_input(piece, max(left, 0.001))
                written += taken
                if taken < len(piece):
                    raise SessionBusy(f"the agent did not read its input within {timeout_s} s", written)
        except Refused as refused:
            if refused.code == "busy":
                raise SessionBusy(str(refused), written) from refused
            raise SpawnerError(str(refused)) from refused
        except LineLost as lost:
            if self._exit.done():
                raise SessionEnded("the program has ended") from lost
            raise SessionBusy(f"the keeper went away while {written} bytes were written", written) from lost

    async def give(self, offset: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            line = await self._reach()
            piece = data[done : done + MAX_INPUT]
            try:
                await line.give(offset + done, piece)
            except LineLost:
                await asyncio.sleep(0)  # given again over the next line, which skips what came through
                continue
            except Refused as refused:
                if refused.code == "busy":
                    await asyncio.sleep(GIVE_AGAIN_S)
                    continue
                if refused.code == "gap":
                    raise SpawnerError(str(refused)) from refused
                raise SessionEnded(str(refused)) from refused
            done += len(piece)

    async def close_stdin(self) -> None:
        await self._ask(Kind.CLOSE_STDIN)

    async def type(self, data: bytes, *, timeout_s: float = 10.0) -> Typed:
        if len(data) > MAX_PASTE:
            raise SpawnerError(f"{len(data)} bytes cannot be typed in one piece; at most {MAX_PASTE} can")
        line = await self._reach()
        try:
            written, unread = await line.send_keys(data, timeout_s, automatic=True)
        except Refused as refused:
            raise explained(refused) from refused
        except LineLost as lost:
            if self._exit.done():
                raise SessionEnded("the program has ended") from lost
            raise SessionBusy("the keeper went away meanwhile; how much was typed is unknown") from lost
        if written < len(data):
            raise SessionBusy(f"the agent did not read its input within {timeout_s} s", written)
        return Typed(written, unread)

    async def terminal(self) -> TerminalState:
        state = await self._ask(Kind.TERMINAL)
        return TerminalState(
            size=Size(state["rows"], state["columns"]),
            canonical=state["canonical"],
            echo=state["echo"],
            unread=state["unread"],
            viewers=tuple(
                Viewer(item["name"], Size(item["rows"], item["columns"]), item["readOnly"])
                for item in state["viewers"]
            ),
            typing=state["typing"],
            free_in_ms=state["freeInMs"],
        )

    async def resize(self, size: Size) -> None:
        await self._ask(Kind.RESIZE, rows=size.rows, columns=size.columns)

    async def signal(self, number: int) -> None:
        await self._ask(Kind.SIGNAL, number=int(number))

    async def stop(self, *, interrupt_s: float = 2.0, terminate_s: float = 5.0) -> Exit:
        line, ended = self._line, self._exit.done()
        # One that somebody has stopped (SIGSTOP) could not end anything.
        signal_keeper(AgentDirectory(self._ref.directory), "SIGCONT")
        rungs = {"interruptMs": round(interrupt_s * 1000), "terminateMs": round(terminate_s * 1000)}
        try:
            await self._ask(Kind.STOP, **rungs)
        except SessionEnded:
            return await self.wait()
        if ended and line is not None:
            await self._leftovers_ended(line)
        either: list[asyncio.Future[Any]] = [self._exit, self._stuck]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._exit.done():
            self._stuck.result()
        return await self.wait()

    async def _leftovers_ended(self, line: Line) -> None:
        """The program has long ended and only what it left behind was there to stop."""
        async with asyncio.timeout(LEFTOVERS_S):
            while await self.live_members():
                await asyncio.wait([line.lost], timeout=0.05)

    async def live_members(self) -> tuple[Identity, ...]:
        try:
            answer = await self._ask(Kind.MEMBERS)
        except SessionEnded:
            return ()
        boot = self._identity.boot_id
        return tuple(Identity(item["pid"], item["started"], boot) for item in answer["members"])


def _identity(hello: dict[str, Any]) -> Identity:
    """From HELLO; what a keeper could not find out about its program is looked up here."""
    started, boot = hello["started"], hello["bootId"]
    if not started:
        found = _os.process(hello["pid"])
        started = found.started if found else 0
    return Identity(hello["pid"], started, boot or _os.boot_id())
