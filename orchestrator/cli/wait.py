"""`muster wait`: return when agents have got as far as asked."""

from __future__ import annotations

import enum
import time
from typing import Annotated

import typer

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.follow import await_status
from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import AgentsArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from orchestrator.cli.verdict import what_follows
from orchestrator.cli.words import because, parse_duration
from relay.wire.agents import ManagedAgent, Status
from relay.wire.endpoints import GET_AGENT

__all__ = ["command"]


class Until(enum.StrEnum):
    RUNNING = "running"
    READY = "ready"
    ENDED = "ended"


def command(
    agents: AgentsArg,
    until: Annotated[Until, typer.Option("--for", help="How far.")] = Until.ENDED,
    timeout: Annotated[
        str | None, typer.Option(metavar="S", help="Give up after this long (exit 4).")
    ] = None,
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """Wait for agents. Exits 0 if all of them got there (for `ended`: succeeded), else 1.

    One that is started again after its end is another agent: it is named, and not waited for.
    """
    try:
        deadline = None if timeout is None else time.monotonic() + parse_duration(timeout)
    except ValueError:
        raise typer.BadParameter(f"{timeout!r} is no length of time", param_hint="--timeout") from None
    with connect(relay=relay_wide or host is not None) as server:
        ids = [server.call(GET_AGENT, path={"id": reference}).id for reference in agents]
        results = []
        for agent_id in ids:
            agent = await_status(server, agent_id, until, deadline)
            if agent is None:
                raise CliError(
                    f"{agent_id} is not {until} yet: --timeout {timeout} is over", Exit.UNREACHABLE
                )
            results.append(agent)
            following = what_follows(agent)
            if not json:
                print(f"{agent.id} {agent.status}" + (f": {because(agent.cause)}" if agent.cause else ""))
            if following:
                say(following)
    if json:
        print_json(results[0] if len(agents) == 1 else results)
    if not all(_got_there(agent, until) for agent in results):
        raise typer.Exit(Exit.FAILED)


def _got_there(agent: ManagedAgent, until: Until) -> bool:
    if until is Until.ENDED:
        return agent.status is Status.SUCCEEDED
    return (agent.started_at if until is Until.RUNNING else agent.ready_at) is not None
