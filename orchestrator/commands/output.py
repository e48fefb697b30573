"""An agent's output as frames: from its session while it has one, else from its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from orchestrator.agents.record import AgentRecord
from relay.wire.errors import ApiError, Code
from relay.wire.output import Frame, Kind, gap_frame, size_frame, time_frame
from relay.wire.queries import OutputQuery
from spawners.errors import SessionLost
from spawners.launch import Chunk, Gap, Resized
from spawners.session import Session
from spawners.sizes import Sizes
from spawners.spool import Spool

__all__ = ["frames"]

Item = Chunk | Gap | Resized
STREAMS = frozenset({Kind.PTY, Kind.STDOUT, Kind.STDERR})

EXIT_S = 1.0
"""The exit record follows the end of the output within milliseconds."""

IDLE_S = 15.0
"""How often a quiet stream says that it is still there."""


def frames(record: AgentRecord, session: Session | None, query: OutputQuery) -> AsyncIterator[Frame]:
    """Return the output of `record` that `query` asks for, frame by frame.

    `session` is the agent's live one, None if it has ended. The last frame is `END` when the agent
    has ended and everything was sent, else `PAUSE`. While following, an `IDLE` frame is sent
    whenever nothing else was for 15 s. A `timed` query also gets the times and the terminal's sizes.
    Raises `ApiError` if the output was deleted.
    """
    if record.spool_pruned:
        raise ApiError(Code.NOT_FOUND, f"the output of {record.id} was deleted to make room (keep.spools_*)")
    if query.offset < 0 or (query.limit or 0) < 0 or (query.tail or 0) < 0:
        raise ApiError(Code.INVALID, "offset, limit and tail count bytes and cannot be negative")
    spool = Spool(record.directory)
    offset = spool.tail(query.tail) if query.tail is not None else query.offset
    source = (
        _stored(record.directory, offset) if session is None else session.output(offset, follow=query.follow)
    )
    conversion = _Conversion(timed=query.timed)
    return _framed(source, conversion, offset, query.limit, lambda: _last(session, follow=query.follow))


async def _last(session: Session | None, *, follow: bool) -> Kind:
    """Return how a stream that has nothing more to send ends.

    That of a live session may end because this daemon lets go of it: then the agent lives on.
    """
    if session is None:
        return Kind.END
    if not follow:
        return Kind.PAUSE
    try:
        async with asyncio.timeout(EXIT_S):
            await session.wait()
    except SessionLost:
        return Kind.END
    except TimeoutError:
        return Kind.PAUSE
    return Kind.END


async def _stored(directory: str, offset: int) -> AsyncIterator[Item]:
    spool, sizes = Spool(directory), Sizes(directory, offset)
    while pieces := spool.read(offset):
        for item in sizes.merged(pieces):
            yield item
            offset = item.end


class _Conversion:
    """Items to frames; `timed` ones with each new time in front of what was written then, and the sizes."""

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed
        self._at_ms = 0

    def __call__(self, item: Item) -> Iterator[Frame]:
        if self._timed and not isinstance(item, Gap) and item.at_ms not in (0, self._at_ms):
            self._at_ms = item.at_ms
            yield time_frame(item.offset, item.at_ms)
        if isinstance(item, Gap):
            yield gap_frame(item.offset, item.end)
        elif isinstance(item, Chunk):
            yield Frame(item.offset, Kind(int(item.stream)), item.data)
        elif self._timed:
            yield size_frame(item.offset, item.size.rows, item.size.columns)


async def _framed(
    source: AsyncIterator[Item],
    conversion: Callable[[Item], Iterator[Frame]],
    offset: int,
    left: int | None,
    last: Callable[[], Awaitable[Kind]],
) -> AsyncIterator[Frame]:
    pending: asyncio.Task[Item] | None = None
    try:
        while left is None or left > 0:
            pending = pending or asyncio.create_task(_next(source))
            done, _ = await asyncio.wait({pending}, timeout=IDLE_S)
            if not done:
                yield Frame(offset, Kind.IDLE)
                continue
            finished, pending = pending, None
            try:
                item = finished.result()
            except StopAsyncIteration:
                yield Frame(offset, await last())
                return
            for frame in conversion(item):
                if left is not None and frame.kind in STREAMS:
                    frame = Frame(frame.offset, frame.kind, frame.data[:left])  # noqa: PLW2901
                    left -= len(frame.data)
                offset = frame.end
                yield frame
        yield Frame(offset, Kind.PAUSE)
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def _next(source: AsyncIterator[Item]) -> Item:
    return await anext(source)
