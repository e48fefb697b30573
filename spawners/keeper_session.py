"""`KeeperSession`: the `Session` of an agent that a keeper process owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from spawners import _os
from spawners.directory import AgentDirectory, exit_from_json
from spawners.errors import (
    NoTerminal,
    SessionBusy,
    SessionEnded,
    SessionLost,
    SessionTyping,
    SpawnerError,
)
from spawners.frames import MAX_INPUT, MAX_PASTE, Kind
from spawners.growth import Growth
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
from spawners.recovery import find, signal_keeper
from spawners.session import Answers
from spawners.sizes import Sizes
from spawners.spool import Spool

__all__ = ["KeeperSession"]

LEFTOVERS_S = 15.0
"""A keeper gives up killing after ten."""
MEND_PAUSE_S = 1.0
"""Before looking again when looking itself failed."""


class KeeperSession:
    """A line to the keeper that mends itself: when it breaks, the directory says what became of the agent."""

    def __init__(self, ref: SessionRef, identity: Identity, started_ms: int) -> None:
        self._ref = ref
        self._identity = identity
        self._started_ms = started_ms
        self._line: Line | None = None
        self._mending: asyncio.Task[None] | None = None
        self._detached = False
        self._answers: Answers | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._has_terminal = False
        self._growth = Growth()
        self._spool = Spool(ref.directory)
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._stuck: asyncio.Future[None] = asyncio.get_running_loop().create_future()

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

    # -- Session

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

    async def close_stdin(self) -> None:
        await self._ask(Kind.CLOSE_STDIN)

    async def type(self, data: bytes, *, timeout_s: float = 10.0) -> Typed:
        if len(data) > MAX_PASTE:
            raise SpawnerError(f"{len(data)} bytes cannot be typed in one piece; at most {MAX_PASTE} can")
        line = await self._reach()
        try:
            written, unread = await line.send_keys(data, timeout_s, automatic=True)
        except Refused as refused:
            raise _explained(refused) from refused
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

    async def detach(self) -> None:
        self._detached = True
        if self._mending is not None:
            self._mending.cancel()
        if self._line is not None:
            self._line.close()
            self._line = None
        self._growth.disconnect()
        self._growth.reached(self._growth.end, True)

    # -- what the keeper says (LineOwner)

    def on_hello(self, hello: dict[str, Any]) -> None:
        """Also said unasked, when a kill was given up."""
        if hello["survivors"] and not self._stuck.done():
            names = ", ".join(hello["survivors"])
            self._stuck.set_exception(SpawnerError(f"could not be killed, and still alive: {names}"))
            self._stuck.exception()

    def on_grew(self, end: int, final: bool) -> None:
        self._growth.reached(end, final)

    def on_data(self, offset: int, data: bytes) -> None:
        """Never asked for: this line reads the files."""

    def on_sized(self, rows: int, columns: int) -> None:
        """Said to viewers only."""

    def on_asked(self, first: int, upto: int) -> None:
        if self._line is not None and self._answers is not None:
            task = asyncio.get_running_loop().create_task(self._answer(self._line, first, upto))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, line: Line, first: int, upto: int) -> None:
        assert self._answers is not None
        line.answer(upto, await self._answers(first, upto))

    def on_exit(self, record: dict[str, Any]) -> None:
        if not self._exit.done():
            self._exit.set_result(exit_from_json(record))

    def on_lost(self) -> None:
        self._line = None
        self._growth.disconnect()
        if not self._detached:
            self._mending = asyncio.get_running_loop().create_task(self._mend())

    # -- the line

    def _take(self, line: Line, hello: dict[str, Any]) -> None:
        self._line = line
        if hello["exit"] is not None:
            self.on_exit(hello["exit"])
        self._growth.reached(hello["spoolEnd"], hello["outputEnded"])
        self._growth.connect(line)
        line.own(self)
        self._has_terminal = bool(hello.get("terminal")) and hello["exit"] is None
        self._offer_answers()

    def respond(self, answers: Answers) -> None:
        self._answers = answers
        self._offer_answers()

    def _offer_answers(self) -> None:
        if self._line is not None and self._answers is not None and self._has_terminal:
            self._line.tell(Kind.RESPOND)

    def _finish(self, record: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(record)
        self._growth.reached(max(record.spool_end, self._spool.end), True)

    async def _mend(self) -> None:
        """The line is down: find the keeper again, or the record, or the truth that there is neither."""
        while True:
            try:
                found = await find(self._ref)
                if isinstance(found, Exit):
                    self._finish(found)
                else:
                    self._take(found, await asyncio.shield(found.hello))
            except SessionLost as error:
                if not self._exit.done():
                    self._exit.set_exception(error)
                    self._exit.exception()  # nobody has to be waiting for it
                self._growth.reached(self._spool.end, True)
            except LineLost:
                continue
            except OSError:  # no file descriptor free, say: that is no verdict on the agent
                await asyncio.sleep(MEND_PAUSE_S)
                continue
            return

    async def _reach(self) -> Line:
        """The line, once it is up. Raises `SessionEnded` or `SessionLost` if it never will be."""
        while self._line is None:
            if self._exit.done():
                self._exit.result()
                raise SessionEnded("the program has ended")
            if self._detached:
                raise SpawnerError("this session has been detached")
            assert self._mending is not None
            await asyncio.shield(self._mending)
        return self._line

    async def _ask(self, kind: Kind, **fields: Any) -> dict[str, Any]:
        """A request that may be repeated: asked again over a new line if the old one breaks."""
        while True:
            line = await self._reach()
            try:
                return await line.request(kind, **fields)
            except LineLost:
                await asyncio.sleep(0)  # `on_lost` comes next and starts the mending
            except Refused as refused:
                raise _explained(refused) from refused
            except TimeoutError as error:
                raise SpawnerError(f"the keeper of {self._ref.agent_id} does not answer") from error


def _explained(refused: Refused) -> SpawnerError:
    text = str(refused)
    if refused.code == "typing":
        wait_ms, _, words = text.partition(" ")
        return SessionTyping(words, int(wait_ms))
    if refused.code == "no_terminal":
        return NoTerminal(text)
    if refused.code in ("busy", "no_stdin"):
        return SessionBusy(text)
    return SpawnerError(text)


def _identity(hello: dict[str, Any]) -> Identity:
    """From HELLO; where a keeper has no /proc to read (macOS), the rest is looked up here."""
    started, boot = hello["started"], hello["bootId"]
    if not started:
        found = _os.process(hello["pid"])
        started = found.started if found else 0
    return Identity(hello["pid"], started, boot or _os.boot_id())
