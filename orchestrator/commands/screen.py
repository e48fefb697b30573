"""What an agent's terminal shows, now or at its end."""

from __future__ import annotations

import asyncio

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import ScreenFormat, ScreenQuery, ScreenResult
from spawners.errors import NoTerminal
from spawners.launch import SessionRef
from spawners.screen.base import Screen
from spawners.screen.html import ansi, html
from spawners.watch import Look, look_at

__all__ = ["screen"]


async def screen(reach: Reach, reference: str, query: ScreenQuery) -> ScreenResult:
    """Emulate the agent's terminal as far as its output goes.

    Raises `ApiError`: `not_found` if there is no such agent or its output was deleted, `conflict` for
    one that runs on pipes.
    """
    record = reach.registry.find(reference)
    look = await _look(record, reach)
    shown, cursor = look.screen, look.screen.cursor
    return ScreenResult(
        agent_id=record.id,
        rows=shown.size.rows,
        columns=shown.size.columns,
        cursor_row=cursor.row,
        cursor_column=cursor.column,
        cursor_visible=cursor.visible,
        title=shown.title,
        alternate=shown.modes.alternate,
        offset=look.offset,
        format=query.format,
        content=_content(shown, query.format),
        engine=look.engine,
    )


async def _look(record: AgentRecord, reach: Reach) -> Look:
    if record.spool_pruned:
        raise ApiError(Code.NOT_FOUND, f"the output of {record.id} was deleted to make room (keep.spools_*)")
    session = reach.supervisor.live(record.id)
    try:
        if session is not None:
            return await reach.watches.look(session)
        return await asyncio.to_thread(look_at, SessionRef(record.id, record.directory))
    except NoTerminal:
        raise ApiError(
            Code.CONFLICT, f"agent {record.id} runs on pipes and has no screen; read its output instead"
        ) from None


def _content(shown: Screen, wanted: ScreenFormat) -> str:
    if wanted is ScreenFormat.HTML:
        return html(shown)
    if wanted is ScreenFormat.ANSI:
        return ansi(shown)
    return "\n".join(shown.text()) + "\n"
