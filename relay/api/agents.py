"""Routes of the managed agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.core.agents import Agents
from relay.core.spawning import Spawning
from relay.core.steering import Steering
from relay.wire import endpoints
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.serving import Call, Handler

__all__ = ["handlers"]


async def _of_its_host(call: Call) -> None:
    raise ApiError(
        Code.MISDIRECTED, "what hooks say goes to the daemon of the agent's own host (MUSTER_SOCKET)"
    )


def handlers(agents: Agents, spawning: Spawning, steering: Steering) -> Mapping[Endpoint[Any], Handler]:
    return {
        endpoints.SPAWN: lambda call: spawning.spawn(call.caller, call.body),
        endpoints.LIST_AGENTS: lambda call: agents.list(call.query),
        endpoints.GET_AGENT: lambda call: agents.get(call.caller, call.id, call.query),
        endpoints.FORGET_AGENT: lambda call: agents.forget(call.caller, call.id),
        endpoints.STOP_AGENT: lambda call: steering.stop(call.caller, call.id, call.body),
        endpoints.SIGNAL_AGENT: lambda call: steering.signal(call.caller, call.id, call.body),
        endpoints.INTERRUPT_AGENT: lambda call: steering.interrupt(call.caller, call.id),
        endpoints.CHANGE_AGENT: lambda call: steering.change(call.caller, call.id, call.body),
        endpoints.REPORT_HOOK: _of_its_host,
        endpoints.SEND_INPUT: lambda call: steering.send_input(call.caller, call.id, call.body),
    }
