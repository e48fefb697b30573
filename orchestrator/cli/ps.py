"""`muster ps`: the agents of this host, or of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.asking import pending, what
from orchestrator.cli.output import Column, print_json, table
from orchestrator.cli.parameters import HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.target import connect
from orchestrator.cli.words import age, state
from relay.wire.agents import ManagedAgent
from relay.wire.base import now_ms
from relay.wire.endpoints import GET_HOST, LIST_AGENTS
from relay.wire.queries import AgentListQuery

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options:
    everything: Annotated[bool, typer.Option("--all", "-a", help="Also the agents that have ended.")] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None
    status: Annotated[
        str | None, typer.Option(metavar="S[,S]", help="live, ended, all, or statuses by name.")
    ] = None
    label: Annotated[str | None, typer.Option(help="Only agents of this label.")] = None
    tag: Annotated[str | None, typer.Option(help="Only agents with this tag.")] = None
    provider: Annotated[str | None, typer.Option(help="Only agents of this provider.")] = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """List agents, newest first."""
    query = AgentListQuery(
        status=options.status or ("all" if options.everything else "live"),
        orchestrator_id=options.host,
        label=options.label,
        tag=options.tag,
        provider=options.provider,
    )
    with connect(relay=options.relay_wide or options.host is not None) as server:
        agents = server.call(LIST_AGENTS, query=query)
        if options.host is not None and not agents:
            server.call(GET_HOST, path={"id": options.host})  # an unknown host is no empty one
        wide = server.kind == "relay" and options.host is None
    if options.json:
        print_json(agents)
    elif agents:
        _show(agents, hosts=wide or len({agent.orchestrator_id for agent in agents}) > 1)
    else:
        print(
            "no agents"
            if query.status != "live"
            else "no agents running; `muster ps --all` shows those that ended"
        )


def _show(agents: list[ManagedAgent], *, hosts: bool) -> None:
    now = now_ms()
    pids = [] if hosts else [str(agent.pid) if agent.pid and not agent.ended else "" for agent in agents]
    labels = [agent.label or "" for agent in agents]
    shown = [
        (Column("ID"), [agent.id for agent in agents]),
        (Column("STATUS"), [state(agent) for agent in agents]),
        (Column("AGE", right=True), [age(agent.started_at or agent.created_at, now) for agent in agents]),
        *([(Column("PID", right=True), pids)] * any(pids)),
        (Column("PROVIDER"), [agent.provider for agent in agents]),
        *([(Column("HOST", whole=False), [agent.orchestrator_id or "-" for agent in agents])] * hosts),
        *([(Column("LABEL", whole=False), labels)] * any(labels)),
        (Column("WHAT", whole=False), [_what(agent) for agent in agents]),
    ]
    table([column for column, _ in shown], zip(*(cells for _, cells in shown), strict=True))


def _what(agent: ManagedAgent) -> str:
    """What it was told to do; what it asks or what is the matter with it comes first."""
    asked = pending(agent)
    if not asked:
        return f"{agent.attention}: {agent.title}" if agent.attention and not agent.ended else agent.title
    more = f" (and {len(asked) - 1} more)" if len(asked) > 1 else ""
    return f"asks: {what(asked[0])}{more}"
