"""Work in order, by name."""

from __future__ import annotations

import asyncio

from orchestrator.daemon.lanes import Lanes


async def test_a_lane_keeps_its_order_and_lanes_do_not_wait_for_each_other() -> None:
    lanes, done, gate = Lanes(), list[str](), asyncio.Event()

    async def work(lane: str, name: str, until: asyncio.Event | None = None) -> None:
        async with lanes.turn(lane):
            if until is not None:
                await until.wait()
            done.append(name)

    first = asyncio.create_task(work("a", "a1", gate))
    waiting = [asyncio.create_task(work("a", name)) for name in ("a2", "a3")]
    await asyncio.create_task(work("b", "b1"))
    assert done == ["b1"]
    gate.set()
    # One that comes in the very moment in which the lane changes hands must not get past the others.
    await first
    await asyncio.gather(*waiting, work("a", "a4"))
    assert done == ["b1", "a1", "a2", "a3", "a4"]


async def test_a_lane_is_gone_when_nobody_is_in_it_also_after_a_failure() -> None:
    lanes = Lanes()
    gate = asyncio.Event()

    async def hold() -> None:
        async with lanes.turn("a"):
            await gate.wait()

    holding, waiting = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    waiting.cancel()
    holding.cancel()
    await asyncio.gather(holding, waiting, return_exceptions=True)
    assert not lanes._lanes
    async with asyncio.timeout(10), lanes.turn("a"):
        pass
