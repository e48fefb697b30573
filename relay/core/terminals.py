"""What must hold of an agent and of a size before anything is asked of a terminal. Pure."""

from __future__ import annotations

from relay.core.records import AgentRecord
from relay.wire.errors import ApiError, Code

__all__ = ["check_size", "need_terminal"]

MAX_CELLS = 1000
"""Rows or columns: beyond any real terminal, small enough that emulating it costs a host little."""


def check_size(rows: int, columns: int) -> None:
    """Raise `ApiError` `invalid` for a size that no terminal can have."""
    for name, value in (("rows", rows), ("columns", columns)):
        if not 1 <= value <= MAX_CELLS:
            raise ApiError(Code.INVALID, f"{name} must be from 1 to {MAX_CELLS}, not {value}")


def need_terminal(record: AgentRecord) -> str:
    """Return the host of an agent that has a terminal or had one.

    Raises `ApiError`: `conflict` for an agent without a terminal or without a host.
    """
    if not record.agent.mode.on_pty:
        raise ApiError(
            Code.CONFLICT,
            f"agent {record.id} has no terminal, it runs {record.agent.mode}: read its output, "
            "or spawn it in mode embedded",
            mode=record.agent.mode,
        )
    if record.host_id is None:
        raise ApiError(Code.CONFLICT, f"agent {record.id} still waits for a host: {record.agent.reason}")
    return record.host_id
