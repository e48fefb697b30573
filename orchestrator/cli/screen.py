"""`muster screen`: what an agent's terminal shows now, or showed last."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from relay.wire.endpoints import GET_AGENT, GET_SCREEN
from relay.wire.terminal import ScreenFormat, ScreenQuery

__all__ = ["command"]


def command(
    agent: AgentArg,
    ansi: Annotated[bool, typer.Option("--ansi", help="With colours, as escape codes.")] = False,
    html: Annotated[bool, typer.Option("--html", help="As a page of its own.")] = False,
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """Print what an agent's terminal shows now, as plain text; of one that has ended the last screen."""
    if ansi and html:
        raise typer.BadParameter("give --ansi or --html, not both")
    form = ScreenFormat.ANSI if ansi else ScreenFormat.HTML if html else ScreenFormat.TEXT
    with connect(relay=relay_wide or host is not None) as server:
        agent_id = server.call(GET_AGENT, path={"id": agent}).id
        found = server.call(GET_SCREEN, path={"id": agent_id}, query=ScreenQuery(format=form))
    if json:
        print_json(found)
    else:
        sys.stdout.write(found.content if found.content.endswith("\n") else found.content + "\n")
