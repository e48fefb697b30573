"""`muster doctor`: what usually goes wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from orchestrator.cli.checks import run_checks
from orchestrator.cli.completion import complete_providers
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.output import facts, print_json
from orchestrator.cli.parameters import JsonOpt
from orchestrator.cli.target import connect
from orchestrator.cli.words import parse_duration
from relay.wire.health import HealthCheck
from relay.wire.home import Home

__all__ = ["command"]


def command(
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            help="Check this CLI: its version, its keys, and one small turn that changes nothing.",
            autocompletion=complete_providers,
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --provider: the model for that turn.")] = None,
    timeout: Annotated[
        str, typer.Option(metavar="S", help="With --provider: how long the turn may take.")
    ] = "60",
    terminals: Annotated[
        bool, typer.Option("--terminals", help="Open a window in each installed terminal, for a moment.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Check this host: daemon, relay, token, clock, providers, limits, disk. Exits 1 if a check fails."""
    if terminals:
        from orchestrator.cli.terminal_trials import try_terminals

        with connect() as server:
            if not try_terminals(server, json=json):
                raise typer.Exit(Exit.FAILED)
        return
    checks = list(run_checks(Home.from_environment()) if provider is None else _of(provider, model, timeout))
    if json:
        print_json(checks)
    else:
        facts((f"{check.status:<5} {check.name}", check.detail) for check in checks)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(Exit.FAILED)


def _of(provider: str, model: str | None, timeout: str) -> Iterator[HealthCheck]:
    from orchestrator.cli.dry_turn import check_provider

    try:
        timeout_s = parse_duration(timeout)
    except ValueError:
        raise typer.BadParameter(f"{timeout!r} is no length of time", param_hint="--timeout") from None
    with connect() as server:
        if server.kind != "daemon":
            raise CliError(
                "this host runs no daemon to start a turn; `muster up` starts one", Exit.UNREACHABLE
            )
        yield from check_provider(server, provider, timeout_s, model)
