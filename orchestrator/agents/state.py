"""The life of a managed agent on its host: one table, one guarded step. A leaf."""

from __future__ import annotations

from relay.wire.agents import ENDED, Status

__all__ = ["ENDED", "STEPS", "InvalidStep", "check_step"]

_RAN = ENDED - {Status.REJECTED}

STEPS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.STARTING, Status.REJECTED, Status.CANCELLED}),
    Status.STARTING: _RAN | {Status.RUNNING, Status.STOPPING},
    Status.RUNNING: _RAN | {Status.STOPPING},
    Status.STOPPING: _RAN,
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.TIMEOUT: frozenset(),
    Status.REJECTED: frozenset(),
    Status.LOST: (_RAN - {Status.LOST}) | {Status.RUNNING},
}
"""From each status, those that may follow. `lost` is the one ending that evidence may correct."""


class InvalidStep(Exception):
    """A status was to follow one that it cannot follow; the record was left as it was."""


def check_step(current: Status, following: Status) -> None:
    """Raise `InvalidStep` unless `following` may come after `current`."""
    if following not in STEPS[current]:
        raise InvalidStep(f"an agent that is {current} cannot become {following}")
