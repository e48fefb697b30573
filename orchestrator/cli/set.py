"""`muster set`: have an agent go on with another model or approval mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.target import connect
from relay.wire.agents import ManagedAgent
from relay.wire.endpoints import CHANGE_AGENT
from relay.wire.steering import ChangeRequest

__all__ = ["command"]

PATIENCE_S = 45.0


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    model: Annotated[str | None, typer.Option(metavar="M", help="The model of its next turns.")] = None
    approval: Annotated[
        str | None, typer.Option(metavar="A", help="read-only, guarded or open, as far as its host allows.")
    ] = None
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Change the model or the approval mode of an agent that runs, where its CLI can do that.

    `muster show` has it as soon as the CLI confirms it.
    """
    if options.model is None and options.approval is None:
        raise typer.BadParameter("give --model or --approval, what is to change")
    request = ChangeRequest(model=options.model, approval_mode=options.approval)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        found = server.call(CHANGE_AGENT, request, path={"id": options.agent}, timeout_s=PATIENCE_S)
    if options.json:
        print_json(found)
    else:
        print(f"{found.id} {', '.join(_words(found, options))}")


def _words(agent: ManagedAgent, options: Options) -> Iterator[str]:
    for name, wanted, now in (
        ("model", options.model, agent.model or "by default"),
        ("approval", options.approval, agent.approval_mode),
    ):
        asked = f" (asked for {wanted}: with its next turn)" if wanted not in (None, now) else ""
        yield f"{name} {now}{asked}"
