"""Routes of the relay itself: events, health, the specification, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from relay.core.events import EventLog
from relay.core.health import HealthReport
from relay.core.tokens import Tokens
from relay.wire import endpoints
from relay.wire.endpoints import Endpoint
from relay.wire.events import Event
from relay.wire.openapi import document
from relay.wire.serving import Call, Handler, ServerEvent, events

__all__ = ["handlers"]


def handlers(
    log: EventLog, health: HealthReport, tokens: Tokens, version: str
) -> Mapping[Endpoint[Any], Handler]:
    async def follow(call: Call) -> Any:
        query = call.query
        if call.last_event_id is not None:
            query = msgspec.structs.replace(query, after=call.last_event_id)
        return events(_numbered(log.follow(query)))

    async def spec(_call: Call) -> Any:
        return document(version)

    async def list_tokens(_call: Call) -> Any:
        return tokens.all()

    return {
        endpoints.EVENTS: follow,
        endpoints.HEALTH: lambda _call: health.report(),
        endpoints.SPEC: spec,
        endpoints.CREATE_TOKEN: lambda call: tokens.create(call.body),
        endpoints.LIST_TOKENS: list_tokens,
        endpoints.REVOKE_TOKEN: lambda call: tokens.revoke(call.path["name"]),
    }


async def _numbered(source: AsyncIterator[Event]) -> AsyncIterator[ServerEvent]:
    async for event in source:
        yield ServerEvent(event, event.type, event.id)
