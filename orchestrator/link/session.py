"""The calls of one registered host, fenced by its instance and epoch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from httpx_sse import EventSource, SSEError

from orchestrator.link.errors import Retry, classify
from relay.wire import endpoints
from relay.wire.base import Wire, decode
from relay.wire.client import AsyncClient, Unreachable
from relay.wire.commands import CommandAck, CommandEnvelope, Outcome
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.orchestrators import (
    Fence,
    Heartbeat,
    HeartbeatReply,
    Registration,
    RegistrationReply,
    ReportBatch,
    ReportReply,
    Roster,
)
from relay.wire.output import MEDIA_TYPE
from relay.wire.queries import CommandsQuery
from relay.wire.sockets import ClientSocket, SocketClient

__all__ = ["Link"]

Res = TypeVar("Res")

SILENCE_S = 45.0
"""The relay comments on a quiet stream every 15 s; three missed ones mean that the line is dead."""

LAST_WORDS_S = 30.0
"""For a slow viewer to be shown the last screen; a dead one is noticed by then (`duplex.DEAD_PEER_S`)."""


class _Numbered(Wire, frozen=True, kw_only=True):
    """All that is read of a command that is not known here."""

    id: int


class Link:
    """One registration's line to the relay. Every method raises a `LinkError` that says what to do."""

    def __init__(self, client: AsyncClient, host_id: str) -> None:
        self._client = client
        self._sockets = SocketClient(
            client.target, token=client.token, verify=client.verify, close_timeout_s=LAST_WORDS_S
        )
        self._host_id = host_id
        self.url = client.target
        self.fence = Fence(instance_id="", epoch=0)

    async def _call(self, endpoint: Endpoint[Res], body: Any, **path: str | int) -> Res:
        try:
            return await self._client.call(endpoint, body, path={"id": self._host_id, **path})
        except (ApiError, Unreachable) as error:
            raise classify(error) from error

    async def register(self, registration: Registration) -> RegistrationReply:
        """Register this host and speak under the epoch that the relay gave from now on."""
        reply = await self._call(endpoints.REGISTER, registration)
        self.fence = Fence(instance_id=registration.instance_id, epoch=reply.epoch)
        return reply

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply:
        return await self._call(endpoints.HEARTBEAT, heartbeat)

    async def roster(self, roster: Roster) -> None:
        await self._call(endpoints.PUT_ROSTER, roster)

    async def report(self, batch: ReportBatch) -> ReportReply:
        return await self._call(endpoints.POST_REPORTS, batch)

    async def acknowledge(self, command_id: int, answer: CommandAck) -> None:
        await self._call(endpoints.ACK_COMMAND, answer, cid=command_id)

    async def commands(self, last_event_id: int | None) -> AsyncIterator[CommandEnvelope]:
        """Yield commands as they come. Ends when the relay closes the stream; silence is a `Retry`."""
        query = CommandsQuery(instance_id=self.fence.instance_id, epoch=self.fence.epoch)
        try:
            async with self._client.stream(
                endpoints.COMMANDS,
                path={"id": self._host_id},
                query=query,
                accept="text/event-stream",
                last_event_id=last_event_id,
                read_timeout_s=SILENCE_S,
            ) as response:
                async for event in EventSource(response).aiter_sse():
                    if event.data:  # httpx-sse makes an event of a comment that comes after one with an id
                        envelope = await self._understood(event.data.encode())
                        if envelope is not None:
                            yield envelope
        except (ApiError, Unreachable) as error:
            raise classify(error) from error
        except (SSEError, msgspec.DecodeError) as error:
            raise Retry(f"the relay's command stream cannot be read: {error}") from error

    async def _understood(self, data: bytes) -> CommandEnvelope | None:
        """Return the command. One that only later versions know is refused, so that it holds up no other."""
        try:
            return decode(data, CommandEnvelope)
        except msgspec.DecodeError as error:
            number = decode(data, _Numbered).id
            message = f"this host's version of Muster does not know that command ({error}); upgrade it"
            detail = ApiError(Code.PROTOCOL_UNSUPPORTED, message).body.error
        if number:
            refused = CommandAck(
                instance_id=self.fence.instance_id,
                epoch=self.fence.epoch,
                outcome=Outcome.REFUSED,
                error=detail,
            )
            await self.acknowledge(number, refused)
        return None

    async def upload(
        self, stream_id: str, content: AsyncIterator[bytes], media_type: str = MEDIA_TYPE
    ) -> None:
        """Send output frames (or one JSON error) to the reader that waits for `stream_id`."""
        try:
            await self._client.upload(
                endpoints.UPLOAD_STREAM,
                content,
                path={"id": self._host_id, "sid": stream_id},
                media_type=media_type,
            )
        except (ApiError, Unreachable) as error:
            raise classify(error) from error

    async def open_terminal(self, stream_id: str) -> ClientSocket:
        """Open the host's end of the socket of the viewer that waits for `stream_id`."""
        try:
            return await self._sockets.connect(
                endpoints.ATTACH_STREAM, path={"id": self._host_id, "sid": stream_id}
            )
        except (ApiError, Unreachable) as error:
            raise classify(error) from error

    async def close(self) -> None:
        await self._client.close()
