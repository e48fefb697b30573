"""What a failed call means for the loop that made it.

LinkError
├── Retry            nobody answered, or could not now: the same call again, later
├── NotRegistered    the relay does not know this host (any more): register again
├── Fenced           another daemon has registered under this host's id: stop speaking for it
└── Refused          the relay will never take this call as it is
"""

from __future__ import annotations

from relay.wire.client import Unreachable
from relay.wire.errors import ApiError, Code

__all__ = ["Fenced", "LinkError", "NotRegistered", "Refused", "Retry", "classify"]


class LinkError(Exception):
    """Base of all of them; the message is for people."""


class Retry(LinkError):
    pass


class NotRegistered(LinkError):
    pass


class Fenced(LinkError):
    pass


class Refused(LinkError):
    pass


_RETRYABLE = {Code.RATE_LIMITED, Code.INTERNAL, Code.UNAVAILABLE, Code.TIMEOUT, Code.STORAGE_FULL}


def classify(error: ApiError | Unreachable) -> LinkError:
    """Return what `error` means for the caller."""
    if isinstance(error, Unreachable):
        return Retry(str(error))
    if error.code in _RETRYABLE:
        return Retry(error.message)
    if error.code in (Code.STALE_EPOCH, Code.ID_TAKEN):
        return Fenced(error.message)
    if error.code in (Code.NOT_FOUND, Code.UNKNOWN_ORCHESTRATOR):
        return NotRegistered(error.message)
    return Refused(error.message)
