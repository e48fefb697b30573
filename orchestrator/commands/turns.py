"""Whose turn it is at a terminal's keyboard: one automatic hand at a time, whoever asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator

from relay.wire.errors import ApiError, Code
from spawners.session import Session

__all__ = ["alone", "turn_of"]

PATIENCE_S = 10.0
"""A message and its evidence take a second or two."""

_turns: weakref.WeakKeyDictionary[Session, asyncio.Lock] = weakref.WeakKeyDictionary()


def turn_of(session: Session) -> asyncio.Lock:
    """Return the lock to hold while typing into a terminal: two messages would run into each other."""
    return _turns.setdefault(session, asyncio.Lock())


@contextlib.asynccontextmanager
async def alone(session: Session) -> AsyncIterator[None]:
    """Hold a terminal's turn. Raises `ApiError` `busy` if a message is too long about it."""
    lock = turn_of(session)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await lock.acquire()
    except TimeoutError:
        raise ApiError(
            Code.BUSY, "a message is being typed into its terminal; nothing was pressed, try again"
        ) from None
    try:
        yield
    finally:
        lock.release()
