"""What the relay asks to be sent at once and does not store: output for a reader, a terminal for a viewer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.agents.registry import Registry
from orchestrator.commands.attach import Viewing, attach, refuse, serve
from orchestrator.commands.output import frames
from orchestrator.daemon.supervise import Supervisor
from orchestrator.link.errors import LinkError
from orchestrator.link.session import Link
from relay.wire.base import encode
from relay.wire.commands import AttachCommand, OutputCommand
from relay.wire.duplex import RESTARTING, Closed
from relay.wire.errors import ApiError
from relay.wire.output import encode_frame
from relay.wire.queries import OutputQuery

__all__ = ["Streams"]

GOODBYE_S = 1.0
"""How long one viewer may hold up the end of the daemon."""


class Streams:
    """Answers over the link that the request came from. When the far end has gone, nobody waits for more."""

    def __init__(self, registry: Registry, supervisor: Supervisor) -> None:
        self._registry = registry
        self._supervisor = supervisor

    async def serve(self, body: OutputCommand | AttachCommand, link: Link) -> None:
        """Send what is asked for, or why it cannot be sent."""
        with contextlib.suppress(LinkError, Closed):
            if isinstance(body, OutputCommand):
                await self._upload(body, link)
            else:
                await self._attach(body, link)

    async def _upload(self, body: OutputCommand, link: Link) -> None:
        query = OutputQuery(
            offset=body.offset, limit=body.limit, tail=body.tail, follow=body.follow, timed=body.timed
        )
        try:
            record = self._registry.find(body.agent_id)
            source = frames(record, self._supervisor.live(record.id), query)
        except ApiError as error:
            await link.upload(body.stream_id, _only(encode(error.body)), "application/json")
            return

        async def content() -> AsyncIterator[bytes]:
            async for frame in source:
                yield encode_frame(frame)

        await link.upload(body.stream_id, content())

    async def _attach(self, body: AttachCommand, link: Link) -> None:
        try:
            viewing = await attach(self._registry, body.agent_id, body.query)
        except ApiError as error:
            await refuse(await link.open_terminal(body.stream_id), error)
            return
        await self._show(viewing, body.stream_id, link)

    async def _show(self, viewing: Viewing, stream_id: str, link: Link) -> None:
        try:
            socket = await link.open_terminal(stream_id)
        except BaseException:
            await viewing.attachment.close()
            raise
        try:
            await serve(self._registry, viewing, socket)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await socket.close(RESTARTING, "the host's daemon ends or restarts")
            raise
        except BaseException:
            await socket.close()
            raise


async def _only(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
