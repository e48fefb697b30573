"""Live output: a reader's request goes to the host, and the host's upload to the reader."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from relay.core.changes import agent_topic, host_topic
from relay.core.leases import Leases
from relay.core.ports import Bus, Store
from relay.core.records import AgentRecord
from relay.wire.agents import Status
from relay.wire.commands import OutputCommand
from relay.wire.errors import ApiError, Code, ErrorBody
from relay.wire.output import Frame, Kind, encode_frame
from relay.wire.queries import OutputQuery

__all__ = ["Outputs", "Pipe"]

BUFFER_BYTES = 1024 * 1024
"""How far an upload may be ahead of its reader."""

NEVER_STARTED = frozenset({Status.QUEUED, Status.REJECTED})


@dataclass(slots=True)
class Pipe:
    """One reader's stream from one host; both ends wait for each other."""

    host_id: str
    command: OutputCommand
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    error: ApiError | None = None
    _pieces: deque[bytes] = field(default_factory=deque)
    _size: int = 0
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _finished: bool = False
    _abandoned: bool = False

    async def write(self, piece: bytes) -> bool:
        """Hand on a piece once there is room; False if the reader has gone away."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._size < BUFFER_BYTES or self._abandoned)
            if self._abandoned:
                return False
            self._pieces.append(piece)
            self._size += len(piece)
            self._moved.notify_all()
            return True

    async def finish(self, error: ApiError | None = None) -> None:
        """Say that the upload is over; `error` if it never was output."""
        async with self._moved:
            self.error = error
            self._finished = True
            self.opened.set()
            self._moved.notify_all()

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            async with self._moved:
                await self._moved.wait_for(lambda: self._pieces or self._finished)
                if not self._pieces:
                    return
                piece = b"".join(self._pieces)
                self._pieces.clear()
                self._size = 0
                self._moved.notify_all()
            yield piece

    def abandon(self) -> None:
        """Let the upload know that nobody reads any more."""
        self._abandoned = True
        waker = asyncio.ensure_future(self._wake())
        waker.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()


class Outputs:
    """The streams that are open now, on this relay."""

    def __init__(
        self, store: Store, bus: Bus, leases: Leases, *, upload_timeout_s: float, queued_follow_s: float
    ) -> None:
        self._store = store
        self._bus = bus
        self._leases = leases
        self._upload_timeout_s = upload_timeout_s
        self._queued_follow_s = queued_follow_s
        self._pipes: dict[str, Pipe] = {}

    def wanted(self, host_id: str, sent: set[str]) -> list[OutputCommand]:
        """Return the requests that the host has not begun to answer and that are not in `sent` yet;
        they are added to it. A new command stream of the host is so given them again."""
        new = [
            pipe
            for sid, pipe in self._pipes.items()
            if pipe.host_id == host_id and not pipe.opened.is_set() and sid not in sent
        ]
        sent.update(pipe.command.stream_id for pipe in new)
        sent.intersection_update(self._pipes)
        return [pipe.command for pipe in new]

    async def read(self, record: AgentRecord, query: OutputQuery) -> AsyncIterator[bytes]:
        """Return the agent's output as the pieces of a run of frames (see `wire.output`).

        Raises `ApiError`: `host_offline`, `timeout` if the host does not begin, or what it refused with.
        """
        _check(query)
        if query.follow and record.agent.status is Status.QUEUED:
            record = await self._started(record)
        if record.agent.status in NEVER_STARTED or record.host_id is None:
            kind = Kind.END if record.agent.ended else Kind.PAUSE
            return _only(encode_frame(Frame(query.offset, kind)))
        pipe = self._open(record, record.host_id, query)
        try:
            async with asyncio.timeout(self._upload_timeout_s):
                await pipe.opened.wait()
        except TimeoutError:
            raise ApiError(
                Code.TIMEOUT,
                f"host {record.host_id} has not begun to send the output within "
                f"{self._upload_timeout_s:.0f} s; it may be busy or cut off, try again",
            ) from None
        finally:
            if not pipe.opened.is_set():
                self._close(pipe)
        if pipe.error is not None:
            self._close(pipe)
            raise pipe.error
        return self._pieces(pipe)

    async def _pieces(self, pipe: Pipe) -> AsyncIterator[bytes]:
        try:
            async for piece in pipe.pieces():
                yield piece
        finally:
            self._close(pipe)

    def _open(self, record: AgentRecord, host_id: str, query: OutputQuery) -> Pipe:
        self._leases.need_online(host_id, "the output is on its disk and can be read when it is back")
        command = OutputCommand(
            stream_id=secrets.token_hex(16),
            agent_id=record.id,
            offset=query.offset,
            limit=query.limit,
            tail=query.tail,
            follow=query.follow,
            timed=query.timed,
        )
        pipe = self._pipes[command.stream_id] = Pipe(host_id, command)
        self._bus.publish(host_topic(host_id))
        return pipe

    def _close(self, pipe: Pipe) -> None:
        self._pipes.pop(pipe.command.stream_id, None)
        pipe.abandon()

    async def _started(self, record: AgentRecord) -> AgentRecord:
        """Return the agent once it is not queued any more, or as it is after a while."""
        with self._bus.subscribe(agent_topic(record.id)) as wakeups:
            try:
                async with asyncio.timeout(self._queued_follow_s):
                    while True:
                        async with self._store.reading() as transaction:
                            record = await transaction.agents.get(record.id) or record
                        if record.agent.status is not Status.QUEUED or not await wakeups.wait():
                            return record
            except TimeoutError:
                return record

    async def upload(self, host_id: str, stream_id: str, pieces: AsyncIterator[bytes]) -> bool:
        """Feed a reader from its host's upload; False as soon as the reader has gone away.

        Raises `ApiError` `not_found` if nobody waits for this stream (any more).
        """
        pipe = self._expected(host_id, stream_id)
        pipe.opened.set()
        try:
            async for piece in pieces:
                if piece and not await pipe.write(piece):
                    return False
        finally:
            await pipe.finish()
        return True

    async def refuse(self, host_id: str, stream_id: str, body: ErrorBody) -> None:
        """Pass the host's refusal to the reader."""
        await self._expected(host_id, stream_id).finish(ApiError.from_body(body))

    def _expected(self, host_id: str, stream_id: str) -> Pipe:
        pipe = self._pipes.get(stream_id)
        if pipe is None or pipe.host_id != host_id or pipe.opened.is_set():
            raise ApiError(Code.NOT_FOUND, "nobody waits for this stream; stop sending it")
        return pipe


def _check(query: OutputQuery) -> None:
    for name, value in (("offset", query.offset), ("limit", query.limit), ("tail", query.tail)):
        if value is not None and value < 0:
            raise ApiError(Code.INVALID, f"{name} must not be negative")


async def _only(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
