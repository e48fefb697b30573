"""Routes of the hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from relay.core.commands import Commands
from relay.core.hosts import Hosts
from relay.core.outputs import Outputs
from relay.core.reports import Reports
from relay.wire import endpoints
from relay.wire.base import PROTOCOL, PROTOCOL_HEADER, decode
from relay.wire.commands import CommandEnvelope
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code, ErrorBody
from relay.wire.orchestrators import Fence
from relay.wire.output import MEDIA_TYPE
from relay.wire.serving import Call, Handler, ServerEvent, events

__all__ = ["handlers"]

MAX_REFUSAL = 64 * 1024


def handlers(
    hosts: Hosts, reports: Reports, commands: Commands, outputs: Outputs
) -> Mapping[Endpoint[Any], Handler]:
    async def stream(call: Call) -> Any:
        fence = Fence(instance_id=call.query.instance_id, epoch=call.query.epoch)
        source = commands.stream(call.id, fence, call.last_event_id or 0)
        return events(_envelopes(source))

    async def ack(call: Call) -> Any:
        cid = call.path["cid"]
        if not cid.isdigit():
            raise ApiError(Code.NOT_FOUND, f"{cid!r} is not the number of a command")
        return await commands.ack(call.id, int(cid), call.body)

    async def upload(call: Call) -> Any:
        media_type = call.request.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type == "application/json":
            await outputs.refuse(call.id, call.path["sid"], await _refusal(call))
            return None
        if media_type != MEDIA_TYPE:
            raise ApiError(Code.MALFORMED, f"output is sent as {MEDIA_TYPE}, a refusal as application/json")
        if await outputs.upload(call.id, call.path["sid"], call.request.stream()):
            return None
        # Only closing the connection makes a host stop in the middle of a body.
        headers = {PROTOCOL_HEADER: str(PROTOCOL), "Connection": "close"}
        return Response(status_code=204, headers=headers)

    return {
        endpoints.REGISTER: lambda call: hosts.register(call.caller, call.body),
        endpoints.LIST_HOSTS: lambda _call: hosts.list(),
        endpoints.GET_HOST: lambda call: hosts.get(call.id),
        endpoints.DELETE_HOST: lambda call: hosts.delete(call.caller, call.id),
        endpoints.HEARTBEAT: lambda call: hosts.heartbeat(call.id, call.body),
        endpoints.PUT_ROSTER: lambda call: reports.roster(call.id, call.body),
        endpoints.POST_REPORTS: lambda call: reports.batch(call.id, call.body),
        endpoints.COMMANDS: stream,
        endpoints.ACK_COMMAND: ack,
        endpoints.ACT: lambda call: hosts.act(call.caller, call.id, call.body),
        endpoints.UPLOAD_STREAM: upload,
    }


async def _envelopes(source: AsyncIterator[CommandEnvelope]) -> AsyncIterator[ServerEvent]:
    async for envelope in source:
        yield ServerEvent(envelope, "command", envelope.id or None)


async def _refusal(call: Call) -> ErrorBody:
    data = bytearray()
    async for piece in call.request.stream():
        data += piece
        if len(data) > MAX_REFUSAL:
            raise ApiError(Code.TOO_LARGE, f"a refusal has at most {MAX_REFUSAL} bytes")
    try:
        return decode(bytes(data), ErrorBody)
    except msgspec.DecodeError as error:
        raise ApiError(Code.MALFORMED, f"the refusal is not an error body: {error}") from None
