"""The only table from exceptions to answers of the local API."""

from __future__ import annotations

import sqlite3

import structlog

from orchestrator.agents.state import InvalidStep
from relay.wire.errors import ApiError, Code
from spawners.errors import (
    NoTerminal,
    SessionBusy,
    SessionEnded,
    SessionLost,
    SessionTyping,
    SpawnerError,
    SpawnFailed,
)

__all__ = ["translate"]

log = structlog.get_logger()


def translate(error: Exception) -> ApiError:
    """Return what a client is told about `error`; what nobody foresaw is logged whole."""
    match error:
        case ApiError():
            return error
        case InvalidStep():
            return ApiError(Code.CONFLICT, str(error))
        case SessionEnded():
            return ApiError(Code.ENDED, str(error) or "the agent has ended")
        case SessionLost():
            return ApiError(Code.NOT_FOUND, str(error))
        case SessionBusy():
            return ApiError(Code.BUSY, str(error))
        case SessionTyping():
            return ApiError(Code.BUSY, str(error), freeInMs=error.free_in_ms)
        case NoTerminal():
            return ApiError(Code.CONFLICT, str(error))
        case SpawnFailed():
            return ApiError(Code.SPAWN_FAILED, str(error), errno=error.errno, searched=list(error.searched))
        case SpawnerError():
            return ApiError(Code.INTERNAL, str(error))
        case sqlite3.OperationalError():
            return ApiError(Code.STORAGE_FULL, f"the host's database cannot be used: {error}")
    log.error("request.failed", exc_info=error)
    return ApiError(Code.INTERNAL, f"{type(error).__name__}: {error}; see orchestrator.log")
