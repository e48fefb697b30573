"""`muster resume`: go on with the conversation of an ended agent, as a new one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from orchestrator.cli import spawn
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.parameters import takes
from orchestrator.cli.spawning import build_request
from orchestrator.cli.target import Server, connect
from relay.wire.agents import ManagedAgent, SpawnRequest
from relay.wire.endpoints import GET_AGENT
from spawners.launch import Size

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options(spawn.Options):
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID [PROMPT...]", help="The ended agent, and what to say to it (`-`: stdin)."),
    ] = None
    mode: Annotated[str, typer.Option(help="headless, embedded or terminal. Default: as it was.")] = ""


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Go on with the conversation of an ended or lost agent, as a new one at the same host and place.

    What is not given is as it was: provider, model, approval mode, mode, label and tags. No host remembers
    the values of environment variables, so give --env again. Without a prompt the interface of an embedded
    agent opens; a headless one needs a prompt, or --conversation to be sent messages later.
    """
    if not options.words or not options.words[0].strip():
        raise typer.BadParameter("which agent? Give an id, the start of one, or a label", param_hint="ID")
    if options.place:
        raise CliError("it goes on at its own host, so there is no --place", Exit.USAGE)
    spawn.check_wait(options)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        former = server.call(GET_AGENT, path={"id": options.words[0]})
        own = None
        if options.attach:
            from orchestrator.cli.attaching import own_size

            spawn.check_attach(options, options.mode or former.mode)
            own = own_size()
        request = _request(options, former, server, own)
        if options.attach:
            spawn.attached(server, request)
        spawn.started(server, request, options)


def _request(options: Options, former: ManagedAgent, server: Server, own: Size | None) -> SpawnRequest:
    filled = dataclasses.replace(
        options,
        words=(options.words or [])[1:] or None,
        provider=options.provider or former.provider,
        mode=options.mode or former.mode,
    )
    request = build_request(filled, None, server, own=own)
    return msgspec.structs.replace(
        request, resume=former.id, cwd=request.cwd if options.cwd else None, placement=None
    )
