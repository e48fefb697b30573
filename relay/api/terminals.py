"""Routes of the agents' terminals, and of the host's end of a viewer's socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.core.agents import Agents
from relay.core.attachments import Attachments
from relay.core.steering import Steering
from relay.wire import endpoints
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.serving import Call, Handler

__all__ = ["handlers"]


async def _of_its_host(call: Call) -> None:
    raise ApiError(Code.MISDIRECTED, "a window reports to the daemon of its own host")


def handlers(agents: Agents, steering: Steering, attachments: Attachments) -> Mapping[Endpoint[Any], Handler]:
    async def attach(call: Call) -> None:
        record = await agents.find(call.caller, call.id)
        await attachments.view(call.caller, record, call.query, call.socket)

    return {
        endpoints.RESIZE_AGENT: lambda call: steering.resize(call.caller, call.id, call.body),
        endpoints.OPEN_AGENT: lambda call: steering.open(call.caller, call.id, call.body),
        endpoints.REPORT_WINDOW: _of_its_host,
        endpoints.WINDOW_GONE: _of_its_host,
        endpoints.SEND_TO_AGENT: lambda call: steering.send(call.caller, call.id, call.body),
        endpoints.GET_SCREEN: lambda call: steering.screen(call.caller, call.id, call.query),
        endpoints.ATTACH: attach,
        endpoints.ATTACH_STREAM: lambda call: attachments.join(call.id, call.path["sid"], call.socket),
    }
