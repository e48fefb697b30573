"""What the shell offers for ids, labels and hosts: from the running server, at once or not at all."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

__all__ = ["complete_agents", "complete_approvals", "complete_hosts", "complete_providers"]

PATIENCE_S = 0.25
"""For the whole question; a shell that hangs on TAB is worse than one that offers nothing."""


def complete_agents(ctx: Any, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """Return ids with their labels and titles, and labels with their ids."""
    from relay.wire.endpoints import LIST_AGENTS

    offers: list[tuple[str, str]] = []
    for agent in _ask(ctx, LIST_AGENTS):
        about = f"{agent.status} {agent.label or agent.title}".strip()
        offers.append((agent.id, about))
        if agent.label and " " not in agent.label:
            offers.append((agent.label, f"{agent.status} {agent.id}"))
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def complete_approvals(ctx: Any, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of what is asked, with what that is."""
    from orchestrator.cli.asking import what
    from relay.wire.endpoints import LIST_APPROVALS

    offers = [(approval.id, what(approval)) for approval in _ask(ctx, LIST_APPROVALS)]
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def complete_hosts(ctx: Any, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """Return the names of the hosts that the relay knows."""
    from relay.wire.endpoints import LIST_HOSTS

    hosts = _ask(ctx, LIST_HOSTS, relay=True)
    return [(host.id, str(host.status)) for host in hosts if host.id.startswith(incomplete)]


def complete_providers(ctx: Any, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """Return the providers of the hosts that are asked, with their versions; `command` is not typed."""
    from relay.wire.endpoints import LIST_HOSTS

    found = {info.name: info for host in _ask(ctx, LIST_HOSTS) for info in host.capabilities}
    return [
        (name, info.version or ("installed" if info.installed else "not installed"))
        for name, info in found.items()
        if name.startswith(incomplete)
    ]


def _ask(ctx: Any, endpoint: Any, *, relay: bool = False) -> Any:
    from orchestrator.cli.target import connect
    from orchestrator.config import ConfigError
    from relay.wire.client import Unreachable
    from relay.wire.errors import ApiError

    values = getattr(ctx, "params", None) or {}
    wide = relay or bool(values.get("relay_wide") or values.get("host"))
    answers: list[Any] = []

    def fetch() -> None:
        with contextlib.suppress(ApiError, Unreachable, ConfigError, OSError), connect(relay=wide) as server:
            answers.append(server.call(endpoint, timeout_s=PATIENCE_S))

    asking = threading.Thread(target=fetch, daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return answers[0] if answers else []
