"""`muster send`: write to an agent's stdin."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from orchestrator.cli.output import print_json
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.pump import send_bytes
from orchestrator.cli.target import connect
from relay.wire.agents import InputRequest, InputResult
from relay.wire.endpoints import GET_AGENT, SEND_INPUT

__all__ = ["command"]


def command(
    agent: AgentArg,
    text: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="A line for it.")] = None,
    no_newline: Annotated[
        bool, typer.Option("--no-newline", help="Do not end the text with a newline.")
    ] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Send your own stdin, byte for byte.")] = False,
    eof: Annotated[bool, typer.Option("--eof", help="Close its stdin afterwards.")] = False,
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """Write a line to an agent's stdin; it must have been spawned with --stdin-live."""
    if stdin == bool(text) and not (eof and not text):
        raise typer.BadParameter("give the text to send, or --stdin, or --eof")
    with connect(relay=relay_wide or host is not None) as server:
        agent_id = server.call(GET_AGENT, path={"id": agent}).id
        sent = 0
        while stdin and (piece := os.read(0, 64 * 1024)):
            send_bytes(server, agent_id, piece)
            sent += len(piece)
        request = InputRequest(
            text=" ".join(text) if text else None, newline=bool(text) and not no_newline, eof=eof
        )
        result = InputResult(receipt="written", bytes=0)
        if text or eof:
            result = server.call(SEND_INPUT, request, path={"id": agent_id}, timeout_s=30.0)
    if json:
        print_json(InputResult(receipt=result.receipt, bytes=sent + result.bytes))
    if result.receipt != "written":
        print(
            f"muster: only {result.bytes} bytes went in; the agent does not read its stdin", file=sys.stderr
        )
        raise typer.Exit(1)
