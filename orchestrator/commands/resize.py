"""Give an agent's terminal another size."""

from __future__ import annotations

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import ResizeRequest
from spawners.errors import NoTerminal, SessionEnded
from spawners.launch import MAX_CELLS, Size

__all__ = ["resize"]


async def resize(reach: Reach, reference: str, request: ResizeRequest) -> AgentRecord:
    """Resize the terminal; the program hears of it by SIGWINCH. Viewers that are attached win over it.

    Raises `ApiError`: `invalid` for an impossible size, `conflict` for an agent on pipes, `ended`.
    """
    size = Size(request.rows, request.columns)
    if not size.valid:
        raise ApiError(Code.INVALID, f"a terminal has 1 to {MAX_CELLS} rows and columns")
    record, session = reach.running(reference)
    try:
        await session.resize(size)
        state = await session.terminal()
    except NoTerminal:
        raise ApiError(Code.CONFLICT, f"agent {record.id} runs on pipes and has no terminal") from None
    except SessionEnded:
        raise ApiError(Code.ENDED, f"agent {record.id} has just ended") from None
    shown = {"rows": state.size.rows, "columns": state.size.columns}
    return reach.registry.change(record.id, "agent.changed", size=shown)
