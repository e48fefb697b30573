"""What telling something to a conversation has in common, whatever is told."""

from __future__ import annotations

import asyncio

from relay.wire.errors import ApiError, Code
from spawners.conversation import Conversation

__all__ = ["ready"]

CATCH_UP_S = 15.0
"""After the daemon's start it reads again what was said, before it can go on: seconds for a full spool."""


async def ready(conversation: Conversation) -> None:
    """Return once `conversation` can be told something. Raises `ApiError` `busy`."""
    try:
        async with asyncio.timeout(CATCH_UP_S):
            await conversation.caught_up.wait()
    except TimeoutError:
        raise ApiError(
            Code.BUSY, "the host still reads what the agent has said; nothing was done, try again"
        ) from None
