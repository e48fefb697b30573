"""The event log as readers follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx_sse
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Status
from relay.wire.base import decode
from relay.wire.events import Event, EventType
from relay.wire.queries import EventsQuery


@asynccontextmanager
async def following(
    relay: RelayInProcess, last_event_id: int | None = None, **query: Any
) -> AsyncIterator[AsyncIterator[Event]]:
    async with relay.client().stream(
        endpoints.EVENTS, query=EventsQuery(**query), last_event_id=last_event_id
    ) as response:

        async def events() -> AsyncIterator[Event]:
            async for sse in httpx_sse.EventSource(response).aiter_sse():
                event = decode(sse.data.encode(), Event)
                assert (sse.event, sse.id) == (event.type, str(event.id))
                yield event

        yield events()


async def test_without_a_start_only_what_comes_now_is_told(relay: RelayInProcess, host: ScriptedHost) -> None:
    async with following(relay) as events:
        await host.report(agent("ag-1"))
        event = await anext(events)
    assert (event.type, event.agent_id, event.orchestrator_id) == (EventType.AGENT_CHANGED, "ag-1", "h1")


async def test_a_life_is_told_in_order(relay: RelayInProcess, host: ScriptedHost) -> None:
    queued = await relay.spawn()
    async with host.commands() as commands:
        await host.ack(await anext(commands), agent(queued.id, Status.STARTING))
    await host.report(agent(queued.id), agent(queued.id, Status.SUCCEEDED))
    async with following(relay, after=0) as events:
        told = [await anext(events) for _ in range(6)]
    assert [event.type for event in told] == [
        EventType.ORCHESTRATOR_REGISTERED,
        EventType.ORCHESTRATOR_ONLINE,
        EventType.AGENT_QUEUED,
        EventType.AGENT_CHANGED,
        EventType.AGENT_CHANGED,
        EventType.AGENT_ENDED,
    ]
    assert [event.id for event in told] == sorted(event.id for event in told)


async def test_a_stream_is_resumed_behind_the_last_event(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(*(agent(f"ag-{number}") for number in range(5)))
    async with following(relay, after=0) as events:
        seen = [await anext(events) for _ in range(4)]
    async with following(relay, last_event_id=seen[-1].id) as events:
        assert (await anext(events)).id == seen[-1].id + 1


async def test_filters_pass_over_what_is_not_asked_for(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"), agent("ag-2"))
    async with following(relay, after=0, agent_id="ag-2") as events:
        assert (await anext(events)).agent_id == "ag-2"
        await host.report(agent("ag-1", Status.FAILED), agent("ag-2", Status.FAILED))
        assert (await anext(events)).agent_id == "ag-2"
    other = ScriptedHost(relay.client(), "h2")
    await other.register()
    async with following(relay, after=0, orchestrator_id="h2") as events:
        assert (await anext(events)).orchestrator_id == "h2"


async def test_what_has_left_the_log_is_told_as_a_gap(start_relay: Any) -> None:
    relay = await start_relay(events_kept=10)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(*(agent(f"ag-{number}") for number in range(200)))
    async with following(relay, after=3) as events:
        gap = await anext(events)
        first = await anext(events)
    assert gap.type == EventType.LOG_GAP
    assert (gap.data["from"], gap.data["to"]) == (4, gap.id)
    assert first.id == gap.id + 1
    async with following(relay, after=gap.id) as events:
        assert (await anext(events)).id == first.id


async def test_a_reader_of_another_database_is_told_and_begins_anew(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    async with following(relay, after=10**6) as events:
        assert (await anext(events)).type == EventType.LOG_GAP
        assert (await anext(events)).type == EventType.ORCHESTRATOR_REGISTERED
