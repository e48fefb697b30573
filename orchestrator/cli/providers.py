"""`muster providers`: which CLIs are installed where, and what they can do."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_providers
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.output import Column, facts, print_json, table
from orchestrator.cli.parameters import HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from relay.wire.endpoints import LIST_HOSTS
from relay.wire.orchestrators import Orchestrator, ProviderInfo

__all__ = ["command", "version_words"]

APPROVAL_MODES = 3


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="PROVIDER", help="All about this one.", autocompletion=complete_providers),
    ] = None,
    relay_wide: RelayOpt = False,
    host: HostOpt = None,
    json: JsonOpt = False,
) -> None:
    """List the providers of this host, or of all hosts with -r: version, modes, abilities, path.

    A version with `*` is another one than its adapter was proven with.
    """
    with connect(relay=relay_wide or host is not None) as server:
        hosts = [found for found in server.call(LIST_HOSTS) if host in (None, found.id)]
    if host is not None and not hosts:
        raise CliError(f"the relay knows no host {host!r}; `muster hosts` lists them", Exit.NOT_FOUND)
    found = {each.id: [info for info in each.capabilities if name in (None, info.name)] for each in hosts}
    if name is not None and not any(found.values()):
        known = ", ".join(dict.fromkeys(info.name for each in hosts for info in each.capabilities))
        raise CliError(f"no such provider: {name!r}; known are: {known}", Exit.NOT_FOUND)
    if json:
        single = not relay_wide and len(hosts) == 1
        print_json(found[hosts[0].id] if single else found)
    elif name is not None:
        _show_one(found)
    else:
        _show(hosts)


def version_words(info: ProviderInfo) -> str:
    """Return the version, marked when its adapter was proven with another one."""
    if not info.installed:
        return "-"
    return f"{info.version or '?'}{'*' if info.version and info.proven not in (None, info.version) else ''}"


def _show(hosts: list[Orchestrator]) -> None:
    several = len(hosts) > 1
    columns = [
        *([Column("HOST")] * several),
        *(Column(title) for title in ("PROVIDER", "VERSION", "MODES", "APPROVAL")),
        Column("CAN", whole=False),
        Column("WHERE", whole=False),
    ]
    rows = [
        [
            *([host.id] * several),
            info.name,
            version_words(info),
            "both" if len(info.modes) > 1 else " ".join(info.modes),
            "all" if len(info.approval_modes) == APPROVAL_MODES else " ".join(info.approval_modes),
            " ".join(info.abilities),
            _where(info),
        ]
        for host in hosts
        for info in host.capabilities
    ]
    if rows:
        table(columns, rows)
    else:
        print("no providers found yet; any command can be run with -- ARGV")


def _where(info: ProviderInfo) -> str:
    if info.path is None:
        return info.note or "not installed"
    return f"{info.path} ({info.note})" if info.note else info.path


def _show_one(found: dict[str, list[ProviderInfo]]) -> None:
    for host, infos in found.items():
        for info in infos:
            facts(
                [
                    ("host", host if len(found) > 1 else ""),
                    ("provider", info.name),
                    ("version", version_words(info)),
                    ("proven with", info.proven or "no version"),
                    ("where", _where(info)),
                    ("modes", ", ".join(info.modes)),
                    ("approval modes", ", ".join(info.approval_modes)),
                    ("abilities", ", ".join(info.abilities) or "none"),
                    ("keys", ", ".join(info.keys) or f"none of {', '.join(info.secrets) or 'any name'}"),
                    ("adapter", info.source),
                ]
            )
