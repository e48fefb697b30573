"""`muster spawn`: start an agent and say its id."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.follow import await_status
from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import JsonOpt, takes
from orchestrator.cli.spawn_options import SpawnOptions
from orchestrator.cli.spawning import build_request, open_server, submit
from orchestrator.cli.target import Server
from orchestrator.cli.verdict import say_of_window, spoken
from orchestrator.cli.words import because
from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status

__all__ = ["Options", "attached", "check_attach", "check_wait", "command", "started"]

ANSWER_S = 3.0
"""How long the host that was chosen has for its answer, so that its refusal is not missed."""


@dataclass(frozen=True, kw_only=True)
class Options(SpawnOptions):
    wait: Annotated[
        str | None, typer.Option(metavar="running|ready|ended", help="Return only when it is.")
    ] = None
    attach: Annotated[
        bool, typer.Option("--attach", help="Then attach to its terminal (with --mode embedded).")
    ] = False
    json: JsonOpt = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Start an agent and print its id (on a terminal also its status and host).

    Give a prompt and a --provider, or any command after --.
    """
    check_wait(options)
    if options.attach:
        _attach(ctx, options)
    with open_server(options, ctx.obj) as server:
        started(server, build_request(options, ctx.obj, server), options)


def check_wait(options: Options) -> None:
    """Refuse a stage that there is none of. Raises `typer.BadParameter`."""
    if options.wait not in (None, "running", "ready", "ended"):
        raise typer.BadParameter(f"{options.wait!r} is none of running, ready, ended", param_hint="--wait")


def started(server: Server, request: SpawnRequest, options: Options) -> None:
    """Ask for the agent, and say what has become of it once it is as far as was asked."""
    agent = submit(server, request).agent
    if agent.mode is Mode.TERMINAL and agent.status is Status.STARTING and not options.wait:
        agent = await_status(server, agent.id, "running") or agent
    if options.wait:
        agent = await_status(server, agent.id, options.wait) or agent
    elif agent.status is Status.QUEUED and agent.orchestrator_id:
        agent = await_status(server, agent.id, "running", time.monotonic() + ANSWER_S) or agent
    if options.json:
        print_json(agent)
    else:
        host = f" on {agent.orchestrator_id}" if agent.orchestrator_id else ""
        print(f"{agent.id} {agent.status}{host}" if sys.stdout.isatty() else agent.id)
        if agent.status is Status.QUEUED and agent.reason:
            say(f"{agent.id} is queued: {agent.reason}")
    say_of_window(agent)
    _report(agent, waited=options.wait is not None)


def _attach(ctx: typer.Context, options: Options) -> NoReturn:
    """Start it in a terminal of this one's size and show it; exits as `muster attach` does."""
    from orchestrator.cli.attaching import own_size

    check_attach(options, options.mode)
    with open_server(options, ctx.obj) as server:
        attached(server, build_request(options, ctx.obj, server, own=own_size()))


def check_attach(options: Options, mode: str) -> None:
    """Refuse to attach where there is nothing to show. Raises `typer.BadParameter`."""
    from orchestrator.cli.attaching import check_terminal

    if mode != Mode.EMBEDDED or options.wait or options.json:
        raise typer.BadParameter("--attach goes with --mode embedded, and not with --wait or --json")
    check_terminal()


def attached(server: Server, request: SpawnRequest) -> NoReturn:
    """Start it and show it; exits as `muster attach` does."""
    from orchestrator.cli.attaching import Look, attach

    agent = submit(server, request).agent
    sys.exit(attach(Look(server.home, agent, server, server.config.terminal.detach_keys)))


def _report(agent: ManagedAgent, *, waited: bool) -> None:
    """Say what went wrong and exit by it. An agent that failed after it ran counts only if it was awaited."""
    if agent.status is Status.REJECTED:
        say(f"refused: {because(agent.cause)}" if agent.cause else "refused")
        raise typer.Exit(Exit.REFUSED)
    never_ran = agent.ended and agent.started_at is None
    if agent.ended and agent.status is not Status.SUCCEEDED and (waited or never_ran):
        say(spoken(agent) or f"{agent.id} {agent.status}: {because(agent.cause) if agent.cause else ''}")
        raise typer.Exit(Exit.FAILED)
