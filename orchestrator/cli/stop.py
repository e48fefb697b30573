"""`muster stop`: end agents with everything they started, and say what it took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestrator.cli.failures import CliError, Exit, explain
from orchestrator.cli.follow import await_status
from orchestrator.cli.output import print_json, say
from orchestrator.cli.parameters import AgentsArg, HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import duration, parse_duration
from relay.wire.agents import ManagedAgent, Presence
from relay.wire.endpoints import GET_AGENT, STOP_AGENT
from relay.wire.errors import ApiError
from relay.wire.steering import StopRequest

__all__ = ["command", "end"]

PATIENCE_S = 30.0
"""Beyond the grace: interrupting, killing the tree until it is empty, and draining its output."""
GRACE_S = 10.0


def command(
    agents: AgentsArg,
    grace: Annotated[
        str | None, typer.Option(metavar="S", help="Time between asking it to end and killing it.")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Let a conversation end after its turn; returns at once.")
    ] = False,
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """Stop agents: interrupt, then terminate, then kill the whole tree. Waits until nothing of it lives.

    Of an agent that has ended, it calls off what its restart policy would start in its place.
    """
    try:
        seconds = None if grace is None else parse_duration(grace)
    except ValueError:
        raise typer.BadParameter(f"{grace!r} is no length of time", param_hint="--grace") from None
    if finish and grace is not None:
        raise typer.BadParameter("--finish ends nothing by force, so there is no --grace")
    request = StopRequest(grace_ms=None if seconds is None else round(seconds * 1000), finish=finish)
    with connect(relay=relay_wide or host is not None) as server:
        end(
            server,
            agents,
            request,
            patience_s=PATIENCE_S + (GRACE_S if seconds is None else seconds),
            json=json,
        )


def end(
    server: Server, references: Sequence[str], request: StopRequest, *, patience_s: float, json: bool
) -> None:
    """Post all stops first, then wait for each; exits with the worst of what happened."""
    worst: int = Exit.OK
    asked: list[ManagedAgent] = []
    for reference in references:
        try:
            before = server.call(GET_AGENT, path={"id": reference})
            asked.append(before)
            if not before.ended or before.restart_at is not None:
                server.call(STOP_AGENT, request, path={"id": before.id})
        except ApiError as error:
            worst = worst or explain(error)
    deadline = time.monotonic() + patience_s
    results = []
    for before in asked:
        after = before if before.ended or request.finish else await_end(server, before.id, deadline)
        results.append(after)
        if not request.finish or before.ended:
            worst = worst or _report(before, after, quiet=json)
        elif not json:
            print(f"{before.id} ends after its turn")
    if json and results:
        print_json(results[0] if len(references) == 1 else results)
    if worst:
        raise typer.Exit(worst)


def await_end(server: Server, agent_id: str, deadline: float) -> ManagedAgent:
    """Return the agent when it has ended. Raises `CliError` at the deadline, or if its host is offline."""
    while True:
        agent = await_status(server, agent_id, "ended", min(deadline, time.monotonic() + 2.0))
        if agent is not None:
            return agent
        now = server.call(GET_AGENT, path={"id": agent_id})
        if now.presence is Presence.UNKNOWN:
            then = now.reason or "it is stopped when the host is back"
            raise CliError(f"{agent_id}: its host {now.orchestrator_id} is offline; {then}", Exit.UNREACHABLE)
        if time.monotonic() >= deadline:
            raise CliError(
                f"{agent_id} has not ended yet ({now.status}); `muster kill {agent_id}` ends it at once",
                Exit.UNREACHABLE,
            )


def _report(before: ManagedAgent, after: ManagedAgent, *, quiet: bool) -> int:
    """Say what was done, and return 1 if something of the tree still lives."""
    if before.ended:
        if not quiet:
            print(f"{after.id} had ended before: {after.status}{_what_follows(before)}")
        return Exit.OK
    end = after.exit
    words = [f"{after.id} {after.status}"]
    if end and end.stage:
        words.append(f"after {end.stage}")
    if after.stopping_at and after.ended_at:
        words.append(f"in {duration(after.ended_at - after.stopping_at)}")
    if not quiet:
        print(" ".join(words) + (f"; killed {', '.join(end.killed)}" if end and end.killed else ""))
    if end and end.survivors:
        say(f"{after.id}: these could not be ended: {', '.join(end.survivors)}")
        return Exit.FAILED
    return Exit.OK


def _what_follows(before: ManagedAgent) -> str:
    if before.restart_at is not None:
        return "; nothing is started in its place any more"
    return f"; {before.restarted_as} was started in its place" if before.restarted_as else ""
