"""`muster attach`: an agent's terminal in one's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.attaching import Look, attach, check_terminal
from orchestrator.cli.parameters import AgentArg, HostOpt, RelayOpt, takes
from orchestrator.cli.target import connect, daemon_answers
from orchestrator.config import Config
from relay.wire.endpoints import GET_AGENT
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only look: keys do nothing but detach, your size counts not.")
    ] = False
    detach_keys: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help="Instead of terminal.detach_keys: as 'ctrl-] d', or none."),
    ] = None
    relay_wide: RelayOpt = False
    host: HostOpt = None


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Show an agent's terminal in yours and type into it; ctrl-] d leaves it running.

    On its own host this works without daemon and relay. Exits 0 after detaching, else with the
    agent's own exit code, as `run` does.
    """
    home = Home.from_environment()
    config = Config.load(home)
    look = _find(home, options, options.detach_keys or config.terminal.detach_keys)
    assert look.keys is not None
    prints = options.read_only and not (sys.stdin.isatty() and sys.stdout.isatty())
    if not prints:
        check_terminal()
    sys.exit(attach(look, prints=prints))


def _find(home: Home, options: Options, keys: str) -> Look:
    """Ask the relay if told to, else this host's daemon, else look through its files, else ask the relay."""
    relayed = options.relay_wide or options.host is not None
    if not relayed and not daemon_answers(home):
        from orchestrator.cli.viewer.finding import find_by_files

        try:
            agent = find_by_files(home, options.agent)
        except ApiError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        else:
            return Look(home, agent, None, keys, options.read_only)
    server = connect(relay=relayed)
    agent = server.call(GET_AGENT, path={"id": options.agent})
    return Look(home, agent, server, keys, options.read_only, relayed)
