"""The only table from exceptions to what a client is told."""

from __future__ import annotations

import structlog

from relay.core.ports import StorageFull, StorageUnavailable
from relay.wire.errors import ApiError, Code

__all__ = ["translate"]

log = structlog.get_logger("relay.api")


def translate(error: Exception) -> ApiError:
    """Return the `ApiError` for an exception that is none; the unexpected is logged, never shown."""
    if isinstance(error, StorageFull):
        return ApiError(Code.STORAGE_FULL, f"the relay's disk is full, nothing was changed ({error})")
    if isinstance(error, StorageUnavailable):
        return ApiError(Code.UNAVAILABLE, f"the relay's database cannot do it now, try again ({error})")
    log.error("request failed", exc_info=error)
    return ApiError(Code.INTERNAL, f"the relay failed ({type(error).__name__}); its log says why")
