"""`muster open`: an agent in a native window of its host's desktop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.target import connect
from orchestrator.cli.verdict import say_of_window
from orchestrator.cli.wishes import own_desktop
from relay.wire.endpoints import GET_AGENT, OPEN_AGENT
from relay.wire.terminal import OpenRequest

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    terminal: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="In this terminal (`muster doctor --terminals`). Default: that of its last window.",
        ),
    ] = None
    tab: Annotated[bool, typer.Option("--tab", help="A tab instead of a window, where it can.")] = False
    new: Annotated[bool, typer.Option("--new", help="Another one, also if one is open.")] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Show an agent that runs in a terminal in a native window, on the desktop of its host.

    A window that is open already is brought to the front, where its terminal can do that; else another one
    is opened, in the terminal of the last one, and the first stays.
    """
    with connect(relay=options.relay_wide or options.host is not None) as server:
        agent = server.call(GET_AGENT, path={"id": options.agent})
        here = own_desktop() if server.kind == "daemon" else {}
        request = OpenRequest(terminal=options.terminal, tab=options.tab, new=options.new, desktop=here)
        result = server.call(OPEN_AGENT, request, path={"id": agent.id})
    if options.json:
        print_json(result)
        return
    window = result.agent.window
    print(f"{result.agent.id} {result.action} in {window.terminal if window else 'a window'}")
    say_of_window(result.agent)
    if result.notice:
        say(result.notice)
