"""Named places where a test makes this process die as if by `kill -9`.

Between every two durable steps of a spawn, a stop and an exit there is one, so that "killed here, then
restarted" can be tried for each of them. Without `MUSTER_FAILPOINT` they cost one set lookup.
"""

from __future__ import annotations

import os
import signal

__all__ = ["VARIABLE", "failpoint"]

VARIABLE = "MUSTER_FAILPOINT"
"""Environment variable with the names to die at, separated by commas. Keepers get it handed on."""

_armed = frozenset(name for name in os.environ.get(VARIABLE, "").split(",") if name)


def failpoint(name: str) -> None:
    """Die at once, without any clean-up, if the environment names this point."""
    if name in _armed:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
