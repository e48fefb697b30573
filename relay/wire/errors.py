"""The closed set of error codes and the one exception that carries them."""

from __future__ import annotations

import enum
from typing import Any

from relay.wire.base import Wire

__all__ = ["ApiError", "Code", "ErrorBody", "ErrorDetail"]


class Code(enum.StrEnum):
    """What went wrong, for programs. `status` is the HTTP status it travels with."""

    MALFORMED = "malformed"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    POLICY_REFUSED = "policy_refused"
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    CONFLICT = "conflict"
    STALE_EPOCH = "stale_epoch"
    ID_TAKEN = "id_taken"
    ENDED = "ended"
    TOO_LARGE = "too_large"
    MISDIRECTED = "misdirected"
    INVALID = "invalid"
    UNKNOWN_PROVIDER = "unknown_provider"
    UNKNOWN_ORCHESTRATOR = "unknown_orchestrator"
    CWD_INVALID = "cwd_invalid"
    SPAWN_FAILED = "spawn_failed"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    BUSY = "busy"
    HOST_OFFLINE = "host_offline"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    STORAGE_FULL = "storage_full"

    @property
    def status(self) -> int:
        return _STATUS[self]


_STATUS: dict[Code, int] = {
    Code.MALFORMED: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.POLICY_REFUSED: 403,
    Code.NOT_FOUND: 404,
    Code.UNKNOWN_ORCHESTRATOR: 404,
    Code.AMBIGUOUS: 409,
    Code.CONFLICT: 409,
    Code.STALE_EPOCH: 409,
    Code.ID_TAKEN: 409,
    Code.ENDED: 409,
    Code.BUSY: 409,
    Code.TOO_LARGE: 413,
    Code.MISDIRECTED: 421,
    Code.INVALID: 422,
    Code.UNKNOWN_PROVIDER: 422,
    Code.CWD_INVALID: 422,
    Code.SPAWN_FAILED: 422,
    Code.PROTOCOL_UNSUPPORTED: 426,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL: 500,
    Code.HOST_OFFLINE: 503,
    Code.UNAVAILABLE: 503,
    Code.TIMEOUT: 504,
    Code.STORAGE_FULL: 507,
}


class ErrorDetail(Wire, frozen=True, kw_only=True):
    """`message` says what is wrong and what to do about it; `details` holds facts for programs."""

    code: str
    message: str
    details: dict[str, Any] = {}


class ErrorBody(Wire, frozen=True, kw_only=True):
    """The body of every response with a status of 400 or more."""

    error: ErrorDetail


class ApiError(Exception):
    """A refusal that a client is meant to see, on either side of the wire."""

    def __init__(self, code: Code, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def body(self) -> ErrorBody:
        return ErrorBody(error=ErrorDetail(code=self.code, message=self.message, details=self.details))

    @classmethod
    def from_body(cls, body: ErrorBody) -> ApiError:
        """Return the error a peer sent; a code from a newer peer is read as `internal`."""
        try:
            code = Code(body.error.code)
        except ValueError:
            code = Code.INTERNAL
        return cls(code, body.error.message, **body.error.details)
