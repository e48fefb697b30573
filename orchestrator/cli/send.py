"""`muster send`: write to an agent's stdin."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.pump import send_bytes
from orchestrator.cli.target import connect
from relay.wire.agents import InputRequest, InputResult
from relay.wire.endpoints import GET_AGENT, SEND_INPUT

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    text: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="A line for it.")] = None
    no_newline: Annotated[bool, typer.Option("--no-newline", help="Do not end the text with a newline.")] = (
        False
    )
    stdin: Annotated[bool, typer.Option("--stdin", help="Send your own stdin, byte for byte.")] = False
    eof: Annotated[bool, typer.Option("--eof", help="Close its stdin afterwards.")] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Write a line to an agent's stdin; it must have been spawned with --stdin-live."""
    if options.stdin == bool(options.text) and not (options.eof and not options.text):
        raise typer.BadParameter("give the text to send, or --stdin, or --eof")
    with connect(relay=options.relay_wide or options.host is not None) as server:
        agent_id = server.call(GET_AGENT, path={"id": options.agent}).id
        sent = 0
        while options.stdin and (piece := os.read(0, 64 * 1024)):
            send_bytes(server, agent_id, piece)
            sent += len(piece)
        request = InputRequest(
            text=" ".join(options.text) if options.text else None,
            newline=bool(options.text) and not options.no_newline,
            eof=options.eof,
        )
        result = InputResult(receipt="written", bytes=0)
        if options.text or options.eof:
            result = server.call(SEND_INPUT, request, path={"id": agent_id}, timeout_s=30.0)
    if options.json:
        print_json(InputResult(receipt=result.receipt, bytes=sent + result.bytes))
    if result.receipt != "written":
        print(
            f"muster: only {result.bytes} bytes went in; the agent does not read its stdin", file=sys.stderr
        )
        raise typer.Exit(1)
