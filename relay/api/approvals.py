"""Routes of what agents ask approval for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.core.approvals import Approvals
from relay.wire import endpoints
from relay.wire.endpoints import Endpoint
from relay.wire.serving import Handler

__all__ = ["handlers"]


def handlers(approvals: Approvals) -> Mapping[Endpoint[Any], Handler]:
    return {
        endpoints.LIST_APPROVALS: lambda call: approvals.list(call.caller, call.query),
        endpoints.GET_APPROVAL: lambda call: approvals.get(call.caller, call.id),
        endpoints.ANSWER_APPROVAL: lambda call: approvals.answer(call.caller, call.id, call.body),
    }
