"""`muster resize`: give an agent's terminal another size."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.sizes import cells
from orchestrator.cli.target import connect
from orchestrator.terminal_size import format_size
from relay.wire.endpoints import GET_AGENT, RESIZE_AGENT
from relay.wire.terminal import ResizeRequest

__all__ = ["command"]


def command(
    agent: AgentArg,
    size: Annotated[str, typer.Argument(metavar="COLSxROWS", help="Columns and rows, as 120x40.")],
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """Give an agent's terminal another size; while people are attached, theirs count."""
    wanted = cells(size, "COLSxROWS")
    assert wanted is not None
    with connect(relay=relay_wide or host is not None) as server:
        agent_id = server.call(GET_AGENT, path={"id": agent}).id
        request = ResizeRequest(rows=wanted.rows, columns=wanted.columns)
        found = server.call(RESIZE_AGENT, request, path={"id": agent_id})
    if json:
        print_json(found)
    now = found.size or {}
    if now and (now["rows"], now["columns"]) != (wanted.rows, wanted.columns):
        say(f"{found.id} stays {format_size(**now)}: somebody is attached, whose size counts")
