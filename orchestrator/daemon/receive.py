"""Takes the relay's commands off its stream and hands each on once."""

from __future__ import annotations

from orchestrator.daemon.dispatch import Dispatcher
from orchestrator.link.errors import Retry
from orchestrator.link.session import Link

__all__ = ["receive"]


async def receive(link: Link, dispatcher: Dispatcher) -> None:
    """Receive until the stream ends; raises the `LinkError` that ended it.

    Every stream begins with all commands that are not acknowledged yet, so nothing is lost with a
    broken one; the dispatcher knows which of them it has seen.
    """
    async for envelope in link.commands(last_event_id=None):
        dispatcher.accept(envelope, link)
    raise Retry("the relay closed the command stream")
