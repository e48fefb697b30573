"""A screen is never used by two at once, also when the one who waits for it goes away."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from spawners.keeper.spool import Spool
from spawners.keeper.terminal import Terminal
from spawners.launch import Size
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen
from spawners.shared_emulation import INLINE, SharedEmulation


async def test_who_is_cancelled_keeps_the_screen_until_its_thread_is_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(str(tmp_path), {"rows": 24, "columns": 80})
    spool = Spool(str(tmp_path), 1 << 30, 1 << 30)
    spool.append(0, b"line\r\n" * INLINE)
    begun, go_on = asyncio.Event(), threading.Event()
    loop, emulator = asyncio.get_running_loop(), type(open_screen(Size()))
    feed = emulator.feed

    def slow_feed(screen: Screen, data: bytes) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)
        feed(screen, data)

    shared = SharedEmulation(str(tmp_path))
    monkeypatch.setattr(emulator, "feed", slow_feed)
    first = asyncio.create_task(shared.replies(0, spool.end))
    await begun.wait()
    first.cancel()
    second = asyncio.create_task(shared.replies(0, spool.end))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not first.done()
    assert shared._lock.locked()

    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == b""
    async with shared.caught_up() as emulation:
        assert emulation.offset == spool.end
        assert emulation.screen.text()[0] == "line"
