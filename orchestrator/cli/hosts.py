"""`muster hosts`: every host that the relay knows."""

from __future__ import annotations

from orchestrator.cli.output import Column, print_json, say, table
from orchestrator.cli.parameters import JsonOpt
from orchestrator.cli.target import connect
from orchestrator.cli.words import age
from relay.wire.base import now_ms
from relay.wire.client import Unreachable
from relay.wire.endpoints import LIST_HOSTS
from relay.wire.orchestrators import HostStatus, Orchestrator

__all__ = ["command", "list_hosts"]


def command(json: JsonOpt = False) -> None:
    """List the hosts: whether they are online, how many agents they run, their load."""
    hosts = list_hosts(relay=True)
    if json:
        print_json(hosts)
        return
    if not hosts:
        print("no hosts yet; `muster up` starts this one")
        return
    now = now_ms()
    columns = [
        Column("HOST", whole=False),
        Column("STATUS"),
        Column("AGENTS", right=True),
        Column("LOAD", right=True),
    ]
    columns += [Column("SKEW", right=True), Column("SEEN", right=True), Column("LABELS", whole=False)]
    table(columns, [_row(host, now) for host in sorted(hosts, key=lambda host: host.id)])


def list_hosts(*, relay: bool) -> list[Orchestrator]:
    """Return the relay's hosts, or this one if the relay is away and its daemon is not."""
    try:
        with connect(relay=relay) as server:
            return server.call(LIST_HOSTS)
    except Unreachable as error:
        away = error
    try:
        with connect() as server:
            if server.kind == "relay":
                raise away
            hosts = server.call(LIST_HOSTS)
    except Unreachable:
        raise away from None
    say(f"{away}; this is only what this host's daemon knows")
    return hosts


def _row(host: Orchestrator, now: int) -> list[str]:
    status = str(host.status)
    if host.status is HostStatus.OFFLINE and host.offline_since:
        status += f" {age(host.offline_since, now)}"
    limit = f"/{host.max_agents}" if host.max_agents else ""
    return [
        host.id,
        status,
        f"{len(host.managed_agents)}{limit}",
        f"{host.load.load_average:.1f}/{host.load.cpus}" if host.load.cpus else "-",
        f"{host.clock_skew_ms / 1000:+.1f}s" if abs(host.clock_skew_ms) >= 100 else "0s",
        age(host.last_seen, now) if host.last_seen else "-",
        ",".join(f"{name}={value}" for name, value in sorted(host.labels.items())),
    ]
