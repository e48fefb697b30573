"""`muster approvals`: what agents ask, and what became of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.asking import outcome, what
from orchestrator.cli.news import news
from orchestrator.cli.output import Column, print_json, table
from orchestrator.cli.parameters import HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import age, duration, plain
from relay.wire.approvals import Approval, ApprovalListQuery, ApprovalState
from relay.wire.base import encode, now_ms
from relay.wire.endpoints import GET_HOST, LIST_APPROVALS

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options:
    everything: Annotated[bool, typer.Option("--all", "-a", help="Also what was settled.")] = False
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on: a line (with --json an object) for each change.")
    ] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """List what agents ask approval for, oldest first; `muster approve` and `muster deny` answer."""
    query = ApprovalListQuery(state="all" if options.everything else "pending", orchestrator_id=options.host)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        if options.watch:
            _watch(server, query, json=options.json)
        found = server.call(LIST_APPROVALS, query=query)
        if options.host is not None and not found:
            server.call(GET_HOST, path={"id": options.host})  # an unknown host is no quiet one
    if options.json:
        print_json(found)
    elif found:
        _show(found, settled=options.everything)
    else:
        print("nothing is asked" if not options.everything else "nothing was asked")


def _watch(server: Server, query: ApprovalListQuery, *, json: bool) -> None:
    for approval in news(server, query):
        if json:
            sys.stdout.write(encode(approval).decode() + "\n")
        else:
            agent = plain(approval.label) if approval.label else approval.agent_id
            asks = approval.state is ApprovalState.PENDING
            words = f"asks: {what(approval)}" if asks else f"{outcome(approval)}: {what(approval)}"
            print(f"{approval.id}  {agent}  {words}")
        sys.stdout.flush()


def _show(found: list[Approval], *, settled: bool) -> None:
    now = now_ms()
    hosts = len({approval.orchestrator_id for approval in found}) > 1
    columns = [Column("ID"), Column("AGENT"), Column("AGE", right=True)]
    columns += [Column("HOST", whole=False)] * hosts
    columns += [Column("STATE", whole=False) if settled else Column("LEFT", right=True)]
    columns += [Column("WHAT", whole=False)]
    table(
        columns,
        [
            [
                approval.id,
                approval.label or approval.agent_id,
                age(approval.asked_at, now),
                *([approval.orchestrator_id or "-"] * hosts),
                outcome(approval) if settled else _left(approval, now),
                what(approval),
            ]
            for approval in found
        ],
    )


def _left(approval: Approval, now: int) -> str:
    """How long there is to answer."""
    return "-" if approval.expires_at is None else duration(approval.expires_at - now)
