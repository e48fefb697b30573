"""`muster doctor`: what usually goes wrong, and how to mend it."""

from __future__ import annotations

import typer

from orchestrator.cli.checks import run_checks
from orchestrator.cli.failures import Exit
from orchestrator.cli.output import facts, print_json
from orchestrator.cli.parameters import JsonOpt
from relay.wire.home import Home

__all__ = ["command"]


def command(json: JsonOpt = False) -> None:
    """Check this host: daemon, relay, token, clock, providers, limits, disk. Exits 1 if a check fails."""
    checks = list(run_checks(Home.from_environment()))
    if json:
        print_json(checks)
    else:
        facts((f"{check.status:<5} {check.name}", check.detail) for check in checks)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(Exit.FAILED)
