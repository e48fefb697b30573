"""`muster down`: end this host's daemon and the embedded relay; agents stay unless told otherwise."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Annotated

import psutil
import typer

from orchestrator.cli import processes
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.target import Server, connect, daemon_answers, is_held
from orchestrator.cli.up import live_agents
from orchestrator.cli.words import parse_duration
from relay.wire.agents import ManagedAgent
from relay.wire.ending import ask_to_end
from relay.wire.endpoints import ACT, HEALTH
from relay.wire.home import Home
from relay.wire.orchestrators import Action, ActionRequest

__all__ = ["command"]

LOOK_S = 0.02
NAMED = 10
"""Agents that are named; more would not be read."""


def command(
    stop_agents: Annotated[bool, typer.Option("--stop-agents", help="Stop all agents first.")] = False,
    timeout: Annotated[str, typer.Option(metavar="S", help="How long to wait for the end.")] = "60",
) -> None:
    """End the daemon of this host and the embedded relay. Agents keep running unless --stop-agents."""
    try:
        deadline = time.monotonic() + parse_duration(timeout)
    except ValueError:
        raise typer.BadParameter(f"{timeout!r} is no length of time", param_hint="--timeout") from None
    home = Home.from_environment()
    daemon = daemon_answers(home)
    crashed = home.read_record(home.host_record) is not None
    if not daemon and (crashed or (stop_agents and os.path.exists(home.host_database))):
        # Only a daemon can say which of its agents still live, and end them.
        processes.start_daemon(home)
        daemon = True
    agents = live_agents() if daemon else []
    if daemon:
        with connect() as server:
            _end_daemon(server, deadline, stop_agents=stop_agents)
    relay = _end_relay(home, deadline)
    if not daemon and not relay:
        print("nothing is running here")
        return
    ended = " and ".join(["the daemon"] * daemon + ["the relay"] * relay)
    print(f"ended {ended}")
    if agents:
        print(_fate(agents, stopped=stop_agents))


def _fate(agents: list[ManagedAgent], *, stopped: bool) -> str:
    names = [agent.label or agent.id for agent in agents[:NAMED]]
    shown = ", ".join(names) + (f" and {len(agents) - NAMED} more" if len(agents) > NAMED else "")
    count = f"{len(agents)} agent" + ("s" if len(agents) > 1 else "")
    if stopped:
        return f"stopped {count}: {shown}"
    return f"{count} left running: {shown} (`muster up` finds them again)"


def _end_daemon(server: Server, deadline: float, *, stop_agents: bool) -> None:
    health = server.call(HEALTH)
    process = _process(health.pid)
    request = ActionRequest(action=Action.SHUTDOWN, stop_agents=stop_agents)
    server.call(ACT, request, path={"id": health.id or server.config.host_id})
    _await_exit(process, "the daemon", deadline)


def _end_relay(home: Home, deadline: float) -> bool:
    """End the relay that runs from this home; return whether there was one."""
    record = home.read_record(home.relay_record)
    if record is None or not is_held(home.relay_lock):
        return False
    process = _process(record.get("pid"))
    if process is None:
        return False
    if ask_to_end(process.pid):
        _await_exit(process, "the relay", deadline)
        return True
    with contextlib.suppress(psutil.Error):
        if "relay" not in process.cmdline():
            raise CliError(
                f"pid {process.pid} in {home.relay_record} is no relay, so it was not ended; "
                "the relay that runs from here must be ended by hand"
            )
        process.terminate()
    _await_exit(process, "the relay", deadline)
    return True


def _process(pid: object) -> psutil.Process | None:
    """Return the process as it is now: a later one with the same pid is told apart by its start time."""
    if not isinstance(pid, int):
        return None
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _await_exit(process: psutil.Process | None, name: str, deadline: float) -> None:
    while process is not None and _lives(process):
        if time.monotonic() < deadline:
            time.sleep(LOOK_S)
            continue
        raise CliError(
            f"{name} (pid {process.pid}) has not ended yet; `kill -9 {process.pid}` is safe: agents survive",
            Exit.UNREACHABLE,
        )


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: whoever started it has not noticed yet, but it holds nothing any more."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
    except OSError:  # some versions of Windows do not tell the status, and have no zombies
        return bool(process.is_running())
