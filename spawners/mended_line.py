"""A line to a keeper that mends itself: when it breaks, the directory says what became of the agent."""

from __future__ import annotations

import asyncio
from typing import Any

from spawners.directory import exit_from_json
from spawners.errors import (
    NoTerminal,
    SessionBusy,
    SessionEnded,
    SessionLost,
    SessionTyping,
    SpawnerError,
)
from spawners.frames import Kind
from spawners.growth import Growth
from spawners.launch import Exit, SessionRef
from spawners.line import Line, LineLost, Refused
from spawners.recovery import find
from spawners.session import Answers
from spawners.spool import Spool

__all__ = ["MendedLine", "explained"]

MEND_PAUSE_S = 1.0
"""Before looking again when looking itself failed."""


class MendedLine:
    """The line of one session: what the keeper says over it, and asking again when it broke."""

    def __init__(self, ref: SessionRef) -> None:
        self._ref = ref
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

    def _take(self, line: Line, hello: dict[str, Any]) -> None:
        self._line = line
        if hello["exit"] is not None:
            self.on_exit(hello["exit"])
        self._growth.reached(hello["spoolEnd"], hello["outputEnded"])
        self._growth.connect(line)
        line.own(self)
        self._has_terminal = bool(hello.get("terminal")) and hello["exit"] is None
        self._offer_answers()

    def _finish(self, record: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(record)
        self._growth.reached(max(record.spool_end, self._spool.end), True)

    def on_lost(self) -> None:
        self._line = None
        self._growth.disconnect()
        if not self._detached:
            self._mending = asyncio.get_running_loop().create_task(self._mend())

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
                raise explained(refused) from refused
            except TimeoutError as error:
                raise SpawnerError(f"the keeper of {self._ref.agent_id} does not answer") from error

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

    def on_exit(self, record: dict[str, Any]) -> None:
        if not self._exit.done():
            self._exit.set_result(exit_from_json(record))

    def on_asked(self, first: int, upto: int) -> None:
        if self._line is not None and self._answers is not None:
            task = asyncio.get_running_loop().create_task(self._answer(self._line, first, upto))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, line: Line, first: int, upto: int) -> None:
        assert self._answers is not None
        line.answer(upto, await self._answers(first, upto))

    def respond(self, answers: Answers) -> None:
        self._answers = answers
        self._offer_answers()

    def _offer_answers(self) -> None:
        if self._line is not None and self._answers is not None and self._has_terminal:
            self._line.tell(Kind.RESPOND)


def explained(refused: Refused) -> SpawnerError:
    """The error that a caller is told when the keeper has refused a request."""
    text = str(refused)
    if refused.code == "typing":
        wait_ms, _, words = text.partition(" ")
        return SessionTyping(words, int(wait_ms))
    if refused.code == "no_terminal":
        return NoTerminal(text)
    if refused.code in ("busy", "no_stdin"):
        return SessionBusy(text)
    return SpawnerError(text)
