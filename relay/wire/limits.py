"""What a request may set as the limits of its run. Pure: relay and host ask the same."""

from __future__ import annotations

import math

from relay.wire.agents import SpawnRequest
from relay.wire.errors import ApiError, Code

__all__ = ["MAX_CPUS", "check_limits"]

MIN_MEMORY = 16 * 1024 * 1024
"""An interpreter needs about that much to start; less is a mistake in the unit."""
MAX_CPUS = 8192
"""As many as Linux can be built for; more is a mistake."""


def check_limits(request: SpawnRequest) -> None:
    """Raise `ApiError` `invalid` for a limit that nothing could be held to."""
    if request.memory_bytes is not None and request.memory_bytes < MIN_MEMORY:
        raise _refuse(f"memoryBytes must be at least {MIN_MEMORY} (16 MiB)")
    if request.cpus is not None and not 0 < request.cpus <= MAX_CPUS:
        raise _refuse(
            f"cpus must be more than 0 (2.5 = two and a half cores) and at most {MAX_CPUS}; "
            "leave it out for no limit"
        )
    for name, value in (
        ("idleTimeoutMs", request.idle_timeout_ms),
        ("maxTurns", request.max_turns),
        ("maxCostUsd", request.max_cost_usd),
    ):
        if value is not None and not 0 < value < math.inf:
            raise _refuse(f"{name} must be more than 0")


def _refuse(message: str) -> ApiError:
    return ApiError(Code.INVALID, message)
