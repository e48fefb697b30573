"""The numbers of a relay, in one place, so that a test can turn them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RelayConfig"]

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """What may be tuned; the defaults are those of the design.

    `heartbeat_ms` is stretched so that all hosts together send at most `heartbeats_per_s`; a lease
    lasts three intervals. `flush_s` is how long a heartbeat may stay in memory only.
    """

    heartbeat_ms: int = 15_000
    heartbeats_per_s: float = 700.0
    lease_factor: int = 3
    flush_s: float = 5.0
    queue_timeout_ms: int = 600_000
    upload_timeout_s: float = 15.0
    signal_timeout_ms: int = 30_000
    fetch_timeout_s: float = 5.0
    queued_follow_s: float = 30.0
    events_kept: int = 10_000
    keep_ms: int = 7 * DAY_MS
    retention_every_s: float = 600.0
    scrub_delay_s: float = 0.5
