"""The end of what an agent wrote, as text for its verdict."""

from __future__ import annotations

from relay.wire.agents import Mode
from spawners.launch import Chunk, Exit, Size
from spawners.screen.transcript import transcript
from spawners.session import Session

__all__ = ["tail_of"]

TAIL_BYTES = 2000
SHOWN_BYTES = 64 * 1024
"""What of a terminal's output is emulated for its last lines: a screen or two, in a millisecond."""


async def tail_of(mode: Mode, session: Session, ended: Exit) -> str:
    """Return the last lines of an ended agent, of one in a terminal as they were shown."""
    if mode is not Mode.HEADLESS:
        return await _shown(session, max(0, ended.spool_end - SHOWN_BYTES))
    return await _text(session, max(0, ended.spool_end - TAIL_BYTES))


async def _text(session: Session, start: int) -> str:
    tail = b""
    async for chunk in session.output(start):
        if isinstance(chunk, Chunk):
            tail = (tail + chunk.data)[-TAIL_BYTES:]
    return tail.decode("utf-8", "replace")


async def _shown(session: Session, start: int) -> str:
    items = [item async for item in session.output(start)]
    return "\n".join(transcript(items, Size())).strip()[-TAIL_BYTES:]
