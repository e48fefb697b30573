"""`muster providers`: which CLIs are installed where."""

from __future__ import annotations

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.output import Column, print_json, table
from orchestrator.cli.parameters import HostOpt, JsonOpt, RelayOpt
from orchestrator.cli.target import connect
from relay.wire.endpoints import LIST_HOSTS
from relay.wire.orchestrators import Orchestrator

__all__ = ["command"]


def command(relay_wide: RelayOpt = False, host: HostOpt = None, json: JsonOpt = False) -> None:
    """List the providers of this host, or of all hosts with -r: installed or not, version, path."""
    with connect(relay=relay_wide or host is not None) as server:
        hosts = [found for found in server.call(LIST_HOSTS) if host in (None, found.id)]
    if host is not None and not hosts:
        raise CliError(f"the relay knows no host {host!r}; `muster hosts` lists them", Exit.NOT_FOUND)
    if json:
        single = not relay_wide and len(hosts) == 1
        print_json(hosts[0].capabilities if single else {found.id: found.capabilities for found in hosts})
        return
    _show(hosts)


def _show(hosts: list[Orchestrator]) -> None:
    several = len(hosts) > 1
    columns = [Column("HOST")] * several + [
        Column("PROVIDER"),
        Column("VERSION"),
        Column("WHERE", whole=False),
    ]
    rows = [
        [
            *([host.id] * several),
            info.name,
            (info.version or "?") if info.installed else "-",
            (info.path or "") + (f" ({info.note})" if info.note and info.path else "")
            or info.note
            or "not installed",
        ]
        for host in hosts
        for info in host.capabilities
    ]
    if rows:
        table(columns, rows)
    else:
        print("no providers found yet; any command can be run with -- ARGV")
