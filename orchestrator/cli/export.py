"""`muster export`: what an agent wrote into its terminal, as a recording or as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.follow import read
from orchestrator.cli.output import say
from orchestrator.cli.parameters import AgentArg, HostOpt, RelayOpt, takes
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import size
from relay.wire.agents import ManagedAgent
from relay.wire.endpoints import GET_AGENT
from relay.wire.private import replace_file
from relay.wire.queries import OutputQuery

__all__ = ["command"]

STDOUT = "-"


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to write it. Default: stdout, as for -.")
    ] = STDOUT
    cast: Annotated[bool, typer.Option("--cast", help="As asciicast v3, which asciinema plays.")] = False
    text: Annotated[bool, typer.Option("--text", help="As text to read, without escape codes.")] = False
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Write what an agent's terminal has shown so far as a recording (--cast) or as text (--text)."""
    if options.cast is options.text:
        raise typer.BadParameter("give --cast or --text")
    if options.file != STDOUT and os.path.exists(options.file) and not options.force:
        raise CliError(f"{options.file} exists already; --force replaces it", Exit.USAGE)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        agent = server.call(GET_AGENT, path={"id": options.agent})
        if not agent.mode.on_pty:
            raise CliError(
                f"{agent.id} is {agent.mode} and has no terminal to export; `muster logs {agent.id}` prints "
                "its output",
                Exit.USAGE,
            )
        pieces = _cast(server, agent) if options.cast else _text(server, agent)
        if options.file == STDOUT:
            for piece in pieces:
                sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
            sys.stdout.buffer.flush()
        else:
            _write(options.file, pieces)


def _text(server: Server, agent: ManagedAgent) -> Iterator[str]:
    from orchestrator.cli.text import lines

    for line in lines(server, agent, since_ms=None, tail=None):
        yield line + "\n"


def _cast(server: Server, agent: ManagedAgent) -> Iterator[str]:
    from orchestrator.cli.text import first_size, items
    from spawners.screen.cast import cast

    found = list(items(read(server, agent.id, OutputQuery(timed=True))))
    end = agent.exit
    return cast(
        found,
        first_size(agent, found),
        title=agent.label or "",
        command=agent.title,
        started_ms=agent.started_at or 0,
        exit_code=end.exit_code if end else None,
    )


def _write(path: str, pieces: Iterator[str]) -> None:
    """Write it beside `path` first: what is there already stays until all of the new is."""
    partly = f"{path}.{os.getpid()}.part"
    try:
        with open(partly, "wb") as file:
            for piece in pieces:
                file.write(piece.encode("utf-8", "replace"))
            written = file.tell()
        replace_file(partly, path)
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", Exit.USAGE) from None
    finally:
        if os.path.exists(partly):
            os.unlink(partly)
    say(f"wrote {size(written)} to {path}")
