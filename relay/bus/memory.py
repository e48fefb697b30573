"""The bus of a relay that is one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MemoryBus"]


class _Wakeups:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.flag = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        if self._bus.closed:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await self.flag.wait()
        except TimeoutError:
            return False
        self.flag.clear()
        return not self._bus.closed


class MemoryBus:
    """See `core.ports.Bus`. For use on one event loop."""

    def __init__(self) -> None:
        self._topics: dict[str, set[_Wakeups]] = {}
        self.closed = False

    def publish(self, topic: str) -> None:
        for wakeups in self._topics.get(topic, ()):
            wakeups.flag.set()

    @contextmanager
    def subscribe(self, topic: str) -> Iterator[_Wakeups]:
        wakeups = _Wakeups(self)
        self._topics.setdefault(topic, set()).add(wakeups)
        try:
            yield wakeups
        finally:
            listeners = self._topics[topic]
            listeners.discard(wakeups)
            if not listeners:
                del self._topics[topic]

    def check(self) -> tuple[str, str]:
        return ("fail", "closed") if self.closed else ("ok", f"in memory, {len(self._topics)} topics")

    def close(self) -> None:
        self.closed = True
        for listeners in self._topics.values():
            for wakeups in listeners:
                wakeups.flag.set()
