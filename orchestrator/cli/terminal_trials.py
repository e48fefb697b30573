"""`muster doctor --terminals`: an agent in a window of each installed terminal, for real."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.follow import await_status
from orchestrator.cli.output import Column, print_json, table
from orchestrator.cli.target import Server
from orchestrator.cli.wishes import own_desktop
from orchestrator.cli.words import because, plain
from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.base import Wire
from relay.wire.endpoints import FORGET_AGENT, GET_AGENT, LIST_HOSTS, SPAWN
from relay.wire.errors import ApiError
from relay.wire.windows import TerminalInfo
from spawners.terminals.custom import is_template

__all__ = ["Trial", "try_terminals"]

PROGRAM = "import os, sys; sys.exit(0 if os.isatty(0) and os.isatty(1) else 9)"
"""Fails where it has no terminal."""


CLOSE_S = 5.0
LOOK_S = 0.05


class Trial(Wire, frozen=True, kw_only=True):
    """What came of one terminal: how long its window took to report in, or why there was none."""

    name: str
    path: str
    opened_ms: int | None = None
    tabs: bool = False
    focuses: bool = False
    problem: str = ""


def try_terminals(server: Server, *, json: bool) -> bool:
    """Open an agent in each installed terminal, print what came of it, and return whether all went well."""
    if server.kind != "daemon":
        raise CliError("this host runs no daemon to open windows; `muster up` starts one", Exit.UNREACHABLE)
    (host,) = server.call(LIST_HOSTS)
    if not host.terminals:
        raise CliError("no terminal that Muster knows is installed here; terminal.app names your own")
    trials = list(_each(server, host.terminals))
    if json:
        print_json(trials)
    else:
        _print(trials, host.desktop.problem)
    return not any(trial.problem for trial in trials)


def _each(server: Server, terminals: Sequence[TerminalInfo]) -> Iterator[Trial]:
    for info in terminals:
        try:
            agent = _tried(server, info)
            took, problem = _took(agent), _problem(agent)
        except ApiError as error:
            took, problem = None, error.message
        yield Trial(
            name=info.name,
            path=info.path,
            opened_ms=took,
            tabs=info.tabs,
            focuses=info.focuses,
            problem=problem,
        )


def _tried(server: Server, info: TerminalInfo) -> ManagedAgent:
    """Return the agent as it has ended, and leave nothing of it."""
    app = server.config.terminal.app
    request = SpawnRequest(
        argv=[sys.executable, "-I", "-S", "-c", PROGRAM],
        mode=Mode.TERMINAL,
        terminal=app if is_template(app) and info.name.startswith("custom-") else info.name,
        terminal_fallback="error",
        hold="never",
        on_window_close="detach",
        label=f"doctor-{info.name}"[:64],
        desktop=own_desktop(),
    )
    agent = server.call(SPAWN, request).agent
    agent = await_status(server, agent.id, "ended") or agent
    agent = _closed(server, agent)
    with contextlib.suppress(ApiError):
        server.call(FORGET_AGENT, path={"id": agent.id})
    return agent


def _closed(server: Server, agent: ManagedAgent) -> ManagedAgent:
    """Return the agent once what ran in its window has ended too."""
    deadline = time.monotonic() + CLOSE_S
    while agent.window is not None and agent.window.is_open and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        agent = server.call(GET_AGENT, path={"id": agent.id})
    return agent


def _took(agent: ManagedAgent) -> int | None:
    opened = agent.window.opened_at if agent.window else None
    return None if opened is None else opened - agent.created_at


def _problem(agent: ManagedAgent) -> str:
    if agent.status is Status.SUCCEEDED and agent.window is not None and agent.window.is_open:
        return "its window has not closed"
    if agent.status is Status.SUCCEEDED:
        return ""
    return because(agent.cause) if agent.cause else f"the agent is {agent.status}"


def _print(trials: Sequence[Trial], desktop: str) -> None:
    """Print a table, and below it what went wrong, in full: the reason is what somebody looks for."""
    table(
        [
            Column("TERMINAL"),
            Column("WHERE", whole=False),
            Column("OPENED", right=True),
            Column("TAB"),
            Column("FOCUS"),
        ],
        [
            (
                trial.name,
                trial.path,
                "no" if trial.opened_ms is None else f"{trial.opened_ms} ms",
                "yes" if trial.tabs else "no",
                "yes" if trial.focuses else "no",
            )
            for trial in trials
        ],
    )
    told: dict[str, list[str]] = {}
    for trial in trials:
        if trial.problem:
            told.setdefault(trial.problem.replace(f"{trial.name}: ", "", 1), []).append(trial.name)
    for problem, names in told.items():
        print(plain(f"{', '.join(names)}: {problem}"))
    if desktop and not any(desktop in problem for problem in told):
        print(plain(f"desktop: {desktop}"))
