"""`muster service`: Muster started at login, by the system itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import typer

from orchestrator.cli.checks import linger
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.output import facts, print_json, say
from orchestrator.cli.parameters import JsonOpt
from orchestrator.cli.processes import READY_S, relay_answers
from orchestrator.cli.target import daemon_answers
from orchestrator.config import Config
from orchestrator.services import ServiceError, State, chosen, foreground, manager
from relay.wire.home import Home
from spawners._os import service_manager

__all__ = ["app"]

LOOK_S = 0.02

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Have Muster started at login, as your own service."
)


@app.command()
def install() -> None:
    """Start `muster up` now and at each login.

    By your user's systemd, launchd, or Windows' logon; no root needed. Settings come from the
    config file: of this shell's variables only MUSTER_HOME is kept. Done again it writes down
    anew where Muster is, and starts what has been ended by `muster down`.
    """
    home = Home.from_environment()
    config = Config.load(home)  # with a wrong one nothing would start
    with _explained():
        before = manager().state()
        if _runs_elsewhere(home, before):
            raise CliError(
                "a daemon runs here that is not the service's: `muster down` first (agents keep running)"
            )
        manager().install(foreground(home))
        _await(home, config)
        now = manager().state()
    print(f"{'refreshed' if before.installed else 'installed'}: {manager().place()}")
    print(f"running: {_running(home, now)}")
    if other := _other(home, before):
        say(
            f"until now it was for {other}, which is not started at login any more; agents there keep running"
        )
    if now.running is None:
        say("Windows starts it at logon, and not again should it end before the next one")
    for check in linger():
        if check.status != "ok":
            say(f"linger is {check.detail}")


@app.command()
def uninstall() -> None:
    """End the service and start it no more. Agents keep running."""
    home = Home.from_environment()
    with _explained():
        before = manager().state()
        manager().uninstall()
    if not (before.installed or before.running):
        print("not installed")
        return
    other = _other(home, before)
    print(f"removed: {manager().place()}{other and f', which was for {other}'}")
    if before.running is None and daemon_answers(home):
        print("the daemon that runs now goes on; `muster down` ends it")
    elif before.running:
        print("ended the service; agents keep running (`muster up` finds them again)")


@app.command()
def status(json: JsonOpt = False) -> None:
    """Say whether it is installed, starts at login, and runs."""
    home = Home.from_environment()
    with _explained():
        now = manager().state()
    if json:
        running = daemon_answers(home) if now.running is None else now.running
        told = {"installed": now.installed, "enabled": now.enabled, "running": running, "pid": now.pid}
        where = {"place": manager().place(), "home": now.home}
        print_json({"manager": service_manager, **where, **told})
        return
    facts(
        [
            ("installed", f"{'yes' if now.installed else 'no'}, by {service_manager}: {manager().place()}"),
            ("for", _other(home, now)),
            ("at login", "starts" if now.enabled else "does not start"),
            ("running", _running(home, now)),
        ]
    )


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        raise CliError(str(error)) from None


def _running(home: Home, state: State) -> str:
    answers = daemon_answers(home)
    if state.running is None:
        return "yes" if answers else "no"
    if _runs_elsewhere(home, state):
        return "no; a daemon runs that is not the service's"
    if not state.running:
        return "no"
    words = f"yes, pid {state.pid}" if state.pid else "it is being started again"
    return words if answers or _other(home, state) else f"{words}; its daemon does not answer"


def _other(home: Home, state: State) -> str:
    """The home that the installed service is for; empty: this one, or nobody can tell."""
    if not state.installed or state.home in (None, chosen(home) or ""):
        return ""
    return state.home or "the home that is used without MUSTER_HOME"


def _runs_elsewhere(home: Home, state: State) -> bool:
    """Whether the daemon that answers here is no child of the service: the service's would find no room."""
    if state.running is None or not daemon_answers(home):
        return False
    record = home.read_record(home.host_record) or {}
    try:
        return state.pid not in [parent.pid for parent in psutil.Process(record["pid"]).parents()]
    except (psutil.Error, KeyError):  # it has just begun to answer, and writes its record after that
        return False


def _await(home: Home, config: Config) -> None:
    """Until both answer, as `muster up` has it."""
    deadline = time.monotonic() + READY_S
    while not (daemon_answers(home) and (config.relay.url or relay_answers(home))):
        if time.monotonic() > deadline:
            raise CliError(
                f"the service is installed, but does not answer within {READY_S:g} s; "
                f"what it said is in {home.logs} and, by systemd, in `journalctl --user -u muster`",
                Exit.UNREACHABLE,
            )
        time.sleep(LOOK_S)
