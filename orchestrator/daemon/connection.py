"""What the loops that speak to the relay share: where it is, who we are, how long to wait."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.config import Config
from orchestrator.relay_address import relay_token, relay_url
from relay.wire.home import Home

__all__ = ["Connection", "RelayAddress", "backoff_s", "find_relay"]

BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 10.0


@dataclass(frozen=True, slots=True)
class RelayAddress:
    url: str
    token: str | None


def find_relay(home: Home, config: Config) -> RelayAddress | None:
    """Return where to register now, or None while no relay is known."""
    url = relay_url(home, config)
    return RelayAddress(url, relay_token(home, config, url)) if url else None


def backoff_s(attempt: int) -> float:
    """Return how long to wait before try `attempt` (from 1): doubling, with full jitter in its upper half.

    Jitter keeps a thousand hosts from coming back in the same instant after a relay's restart.
    """
    ceiling: float = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 16))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, guards nothing


@dataclass(slots=True)
class Connection:
    """How things stand with the relay; written by the loops, read by health and spawn.

    `instance_id` is new at each start of the daemon. `problem` says in one line why the host is not
    registered, None while it is. `skew_ms` is this host's clock minus the relay's.
    """

    host_id: str
    state_id: str
    locate: Callable[[], RelayAddress | None]
    take_over: bool = False
    instance_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    url: str | None = None
    problem: str | None = "not connected yet"
    interval_s: float = 15.0
    skew_ms: int = 0
    registrations: int = 0
