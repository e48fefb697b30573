"""`muster send`: a message for an agent's terminal or conversation, or a line for its stdin."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import AgentArg, HostOpt, JsonOpt, RelayOpt, takes
from orchestrator.cli.pump import send_bytes
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import parse_duration, plain
from relay.wire.agents import ManagedAgent
from relay.wire.endpoints import GET_AGENT, SEND_INPUT, SEND_TO_AGENT
from relay.wire.steering import InputRequest, InputResult
from relay.wire.terminal import Receipt, SendRequest

__all__ = ["command"]

MARGIN_S = 20.0
"""For the way there and back, beyond what the host may take."""
DEFAULTS = SendRequest()


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    text: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="The message (`-` reads it from stdin).")
    ] = None
    keys: Annotated[
        bool, typer.Option("--keys", help="The words are keys by name: Enter, C-c, Up, F5, ... (terminal).")
    ] = False
    no_submit: Annotated[
        bool, typer.Option("--no-submit", help="Type the message, but no Enter after it (terminal).")
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Also into a prompt that asks for an approval (terminal).")
    ] = False
    wait: Annotated[
        str | None,
        typer.Option(metavar="S", help="How long to wait for its turn while a person types. Default: 10."),
    ] = None
    no_newline: Annotated[
        bool, typer.Option("--no-newline", help="Do not end the line with a newline (stdin).")
    ] = False
    stdin: Annotated[bool, typer.Option("--stdin", help="Send your own stdin, byte for byte (stdin).")] = (
        False
    )
    eof: Annotated[bool, typer.Option("--eof", help="Close its stdin afterwards (stdin).")] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Send a message to an agent: into its terminal or conversation, with a receipt, or to its stdin.

    Exits 0 if the message was submitted (with --keys or --no-submit: typed; to a conversation that works
    on a turn: queued), else 1. Any other headless agent must have been spawned with --stdin-live.
    """
    if options.stdin == bool(options.text) and not (options.eof and not options.text):
        raise typer.BadParameter("give the text to send, or --stdin, or --eof")
    wait_ms = _milliseconds(options.wait)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        agent = server.call(GET_AGENT, path={"id": options.agent})
        if agent.mode.on_pty or agent.conversation:
            _check_fits(agent, options)
            _type(server, agent.id, options, wait_ms)
        else:
            _write(server, agent.id, options)


def _milliseconds(text: str | None) -> int:
    if text is None:
        return DEFAULTS.wait_ms
    try:
        return round(parse_duration(text) * 1000)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no length of time", param_hint="--wait") from None


# -- into a terminal


def _check_fits(agent: ManagedAgent, options: Options) -> None:
    terminal = agent.mode.on_pty
    if options.eof or options.no_newline or options.stdin:
        what = "has a terminal" if terminal else "holds a conversation"
        end = "--keys C-d" if terminal else "`muster stop --finish`"
        raise typer.BadParameter(
            f"{agent.id} {what}, which has no stdin to write to or to close; "
            f"a message is TEXT (`-` reads it from stdin), its end is {end}"
        )
    if not terminal and (options.keys or options.no_submit or options.force):
        raise typer.BadParameter(
            f"{agent.id} holds a conversation: --keys, --no-submit and --force are for terminals"
        )


def _type(server: Server, agent_id: str, options: Options, wait_ms: int) -> None:
    words = options.text or []
    request = SendRequest(
        text=None if options.keys else _message(words),
        keys=words if options.keys else [],
        submit=not options.no_submit,
        force=options.force,
        wait_ms=wait_ms,
    )
    patience_s = (request.wait_ms + request.timeout_ms) / 1000 + MARGIN_S
    result = server.call(SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=patience_s)
    if options.json:
        print_json(result)
    else:
        waited = f" after {result.waited_ms / 1000:.1f} s of waiting" if result.waited_ms >= 100 else ""
        print(f"{result.receipt}{waited}: {plain(result.evidence)}")
    enough = {Receipt.SUBMITTED, Receipt.QUEUED}
    if options.keys or options.no_submit:
        enough.add(Receipt.TYPED)
    if result.receipt not in enough:
        if not options.json:
            say(f"nothing is sent again by itself; `muster show {agent_id}` tells how it stands")
        raise typer.Exit(Exit.FAILED)


def _message(words: list[str]) -> str:
    if words != ["-"]:
        return " ".join(words)
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise typer.BadParameter("stdin is not valid UTF-8, so it is no message to type") from None


# -- into a pipe


def _write(server: Server, agent_id: str, options: Options) -> None:
    if options.keys or options.no_submit or options.force:
        raise typer.BadParameter(
            f"{agent_id} is headless and has no terminal: --keys, --no-submit and --force are for those"
        )
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
        say(f"only {result.bytes} bytes went in; the agent does not read its stdin")
        raise typer.Exit(Exit.FAILED)
