"""The route of an agent's output: as frames, or as plain bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from relay.core.agents import Agents
from relay.core.outputs import Outputs
from relay.wire import endpoints
from relay.wire.endpoints import Body, Endpoint
from relay.wire.output import MEDIA_TYPE, Frame, FrameDecoder, Kind
from relay.wire.serving import Call, Handler, Streamed

__all__ = ["handlers"]

OFFSET_HEADER = "Muster-Offset"
FIRST_FRAME_S = 1.0
"""How long the headers of a plain reader wait to learn at which offset its bytes begin."""

_DATA = frozenset({Kind.PTY, Kind.STDOUT, Kind.STDERR})


def handlers(agents: Agents, outputs: Outputs) -> Mapping[Endpoint[Any], Handler]:
    async def read(call: Call) -> Any:
        record = await agents.find(call.caller, call.id)
        pieces = await outputs.read(record, call.query)
        if MEDIA_TYPE in call.request.headers.get("Accept", ""):
            return Streamed(pieces, MEDIA_TYPE)
        return await _plain(pieces, call.query.offset)

    return {endpoints.READ_OUTPUT: read}


async def _plain(pieces: AsyncIterator[bytes], asked: int) -> Streamed:
    frames = _frames(pieces)
    first = asyncio.ensure_future(_first(frames))
    await asyncio.wait({first}, timeout=FIRST_FRAME_S)
    begun = first.result() if first.done() else None
    headers = {OFFSET_HEADER: str(asked if begun is None else begun.offset)}
    return Streamed(_data(first, frames), Body.BYTES.value, headers)


async def _data(first: asyncio.Future[Frame | None], frames: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    try:
        frame = await first
        if frame is not None and frame.kind in _DATA:
            yield frame.data
        async for frame in frames:
            if frame.kind in _DATA:
                yield frame.data
    finally:
        first.cancel()
        await frames.aclose()  # type: ignore[attr-defined]


async def _first(frames: AsyncIterator[Frame]) -> Frame | None:
    """Return the first frame that has a place in the output."""
    async for frame in frames:
        if frame.kind is not Kind.IDLE and frame.kind is not Kind.GAP:
            return frame
    return None


async def _frames(pieces: AsyncIterator[bytes]) -> AsyncIterator[Frame]:
    decoder = FrameDecoder()
    try:
        async for piece in pieces:
            for frame in decoder.feed(piece):
                yield frame
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]
