"""Which host takes a spawn. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.core.leases import Lease
from relay.core.mirror import at_time
from relay.wire.agents import SpawnRequest

__all__ = ["Choice", "place"]

COMMAND = "command"
"""The provider that needs nothing installed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Either the host that takes the spawn, or why none does now."""

    host_id: str | None = None
    reason: str | None = None


def place(request: SpawnRequest, hosts: Iterable[Lease]) -> Choice:
    """Choose a host for `request`: the named one, else the least loaded that is able to take it."""
    known = list(hosts)
    if request.orchestrator_id is not None:
        return _named(request.orchestrator_id, known)
    wanted = request.placement.labels if request.placement else {}
    provider = (request.placement.provider if request.placement else None) or request.provider
    able = [host for host in known if _labelled(host, wanted) and _has(host, provider)]
    free = [host for host in able if _takes(host) is None]
    if free:
        return Choice(host_id=min(free, key=_load).record.id)
    return Choice(reason=_why_none(known, able, wanted, provider))


def _named(host_id: str, known: list[Lease]) -> Choice:
    host = next((host for host in known if host.record.id == host_id), None)
    if host is None:
        return Choice(reason=f"host {host_id} is not known any more")
    obstacle = _takes(host)
    if obstacle is not None:
        return Choice(reason=f"waits for host {host_id}, which {obstacle}")
    return Choice(host_id=host_id)


def _takes(host: Lease) -> str | None:
    """Return what keeps the host from taking one more agent, or None."""
    if not host.record.online:
        return f"is offline since {at_time(host.record.changed_at)}"
    if host.record.draining:
        return "is draining"
    if host.full:
        return f"is full ({host.running} of {host.record.facts.max_agents} agents)"
    return None


def _labelled(host: Lease, wanted: dict[str, str]) -> bool:
    labels = host.record.facts.labels
    return all(labels.get(name) == value for name, value in wanted.items())


def _has(host: Lease, provider: str) -> bool:
    return provider == COMMAND or provider in host.record.providers


def _load(host: Lease) -> tuple[float, float, int, str]:
    """Fewest agents for its capacity, then the lowest load per processor; the id makes it certain."""
    limit = host.record.facts.max_agents or 1_000_000
    load = host.record.load
    return (host.running / limit, load.load_average / max(1, load.cpus), host.running, host.record.id)


def _why_none(known: list[Lease], able: list[Lease], wanted: dict[str, str], provider: str) -> str:
    if not known:
        return "no host has registered yet"
    labelled = [host for host in known if _labelled(host, wanted)]
    labels = ", ".join(f"{name}={value}" for name, value in sorted(wanted.items()))
    if not labelled:
        return f"no known host has the labels {labels}"
    if not able:
        having = f" with the labels {labels}" if labels else ""
        names = ", ".join(sorted(host.record.id for host in labelled)[:10])
        return f"no known host{having} has the provider {provider} installed (looked at: {names})"
    obstacles = [f"{host.record.id} {_takes(host)}" for host in sorted(able, key=lambda h: h.record.id)[:10]]
    return "no host can take it now: " + "; ".join(obstacles)
