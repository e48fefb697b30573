"""The response that says what is wrong."""

from __future__ import annotations

from starlette.responses import Response

from relay.wire.base import PROTOCOL, PROTOCOL_HEADER, encode
from relay.wire.errors import ApiError

__all__ = ["problem"]


def problem(error: ApiError) -> Response:
    """Return the response that carries `error`."""
    headers = {PROTOCOL_HEADER: str(PROTOCOL)}
    return Response(encode(error.body), error.code.status, headers, "application/json")
