"""Whether the relay is well."""

from __future__ import annotations

import os
import time

from relay.core.leases import Leases
from relay.core.ports import Bus, StorageUnavailable, Store
from relay.core.reaper import Reaper
from relay.wire.base import now_ms
from relay.wire.health import Health, HealthCheck

__all__ = ["HealthReport"]

REAPER_LATE_S = 10.0
CLOCK_JUMP_S = 30.0

_WORST = ("ok", "warn", "fail")


class HealthReport:
    def __init__(self, store: Store, bus: Bus, leases: Leases, reaper: Reaper, version: str) -> None:
        self._store = store
        self._bus = bus
        self._leases = leases
        self._reaper = reaper
        self._version = version
        self._clock = (time.time(), time.monotonic())

    async def report(self) -> Health:
        checks = [
            await self._check_store(),
            HealthCheck(name="bus", status=self._bus.check()[0], detail=self._bus.check()[1]),
            self._check_reaper(),
            self._check_clock(),
        ]
        return Health(
            status=max((check.status for check in checks), key=_WORST.index),
            role="relay",
            version=self._version,
            generated_at=now_ms(),
            checks=checks,
            pid=os.getpid(),
        )

    async def _check_store(self) -> HealthCheck:
        try:
            status, detail = await self._store.check()
        except StorageUnavailable as error:
            status, detail = "fail", str(error)
        return HealthCheck(name="store", status=status, detail=detail)

    def _check_reaper(self) -> HealthCheck:
        late = time.monotonic() - self._reaper.last_run
        online = sum(1 for lease in self._leases if lease.record.online)
        if late > REAPER_LATE_S:
            detail = f"last ran {late:.0f} s ago: hosts are not found to be offline; restart the relay"
            return HealthCheck(name="reaper", status="fail", detail=detail)
        return HealthCheck(name="reaper", status="ok", detail=f"{online} of {len(self._leases)} hosts online")

    def _check_clock(self) -> HealthCheck:
        """Tell of a wall clock that was set since the start; a suspended machine looks the same."""
        wall, steady = self._clock
        drift = (time.time() - wall) - (time.monotonic() - steady)
        if abs(drift) > CLOCK_JUMP_S:
            detail = f"the clock moved by {drift:.0f} s since the start (set, or the machine was suspended)"
            return HealthCheck(name="clock", status="warn", detail=detail)
        return HealthCheck(name="clock", status="ok", detail=f"{drift:.1f} s drift")
