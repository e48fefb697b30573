"""The command stream of a host, and acknowledgements."""

from __future__ import annotations

import asyncio

import pytest
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import Status
from relay.wire.errors import ApiError, Code, ErrorDetail


async def test_a_command_is_sent_on_every_stream_until_it_is_acknowledged(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    first, second = await relay.spawn(), await relay.spawn()
    async with host.commands() as commands:
        one, two = await anext(commands), await anext(commands)
        assert [one.body.agent_id, two.body.agent_id] == [first.id, second.id]  # type: ignore[union-attr]
        assert 0 < one.id < two.id
    async with host.commands() as commands:
        assert [await anext(commands), await anext(commands)] == [one, two]
        await host.ack(one, agent(first.id))
    async with host.commands() as commands:
        assert await anext(commands) == two


async def test_a_spawn_belongs_to_the_host_that_listens_from_the_moment_it_is_stored(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    earlier = await relay.spawn()
    assert earlier.reason == "waits for h1 to fetch it"
    async with host.commands() as commands:
        await anext(commands)
        queued = await relay.spawn()
        assert queued.reason is not None
        assert queued.reason.startswith("sent to h1 at ")
    async with host.commands() as commands:  # the line may have broken just then
        sent = [await anext(commands), await anext(commands)]
        assert [each.body.agent_id for each in sent] == [earlier.id, queued.id]  # type: ignore[union-attr]


async def test_a_stream_is_resumed_after_the_last_id(relay: RelayInProcess, host: ScriptedHost) -> None:
    await relay.spawn()
    async with host.commands() as commands:
        one = await anext(commands)
    await relay.spawn()
    async with host.commands(after=one.id) as commands:
        assert (await anext(commands)).id > one.id


async def test_a_command_that_was_placed_late_is_not_skipped_by_a_resumed_stream(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.beat(draining=True)
    waiting = await relay.spawn()
    await host.beat(draining=False)
    async with host.commands() as commands:
        one = await anext(commands)
        assert one.body.agent_id == waiting.id  # type: ignore[union-attr]
        await host.ack(one, agent(waiting.id))
        await host.beat(draining=True)
        late = await relay.spawn()
        stop = await relay.client().call(endpoints.STOP_AGENT, path={"id": waiting.id})
        assert stop.status is Status.RUNNING
        two = await anext(commands)
    await host.beat(draining=False)
    async with host.commands(after=two.id) as commands:
        assert (await anext(commands)).body.agent_id == late.id  # type: ignore[union-attr]


async def test_a_newer_stream_ends_the_older_one(host: ScriptedHost) -> None:
    async with host.commands() as older, host.commands():
        with pytest.raises(StopAsyncIteration):
            await anext(older)


async def test_a_newer_registration_ends_the_stream(relay: RelayInProcess, host: ScriptedHost) -> None:
    async with host.commands() as commands:
        await ScriptedHost(relay.client(), state_id=host.state_id).register()
        with pytest.raises(StopAsyncIteration):
            await anext(commands)


async def test_an_acknowledgement_may_be_repeated_and_the_first_one_counts(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    queued = await relay.spawn()
    async with host.commands() as commands:
        envelope = await anext(commands)
    assert (await host.ack(envelope, agent(queued.id))).state == "done"
    error = ErrorDetail(code="internal", message="no")
    assert (await host.ack(envelope, error=error)).state == "done"
    assert (await relay.get(queued.id)).status is Status.RUNNING


async def test_an_unknown_command_is_nothing_to_come_back_for(
    host: ScriptedHost, relay: RelayInProcess
) -> None:
    await relay.spawn()
    async with host.commands() as commands:
        envelope = await anext(commands)
    other = ScriptedHost(relay.client(), "h2")
    await other.register()
    with pytest.raises(ApiError) as refusal:
        await other.ack(envelope)
    assert refusal.value.code is Code.FORBIDDEN
    assert (await host.ack(type(envelope)(id=999, created_at=0, body=envelope.body))).state == "unknown"


async def test_commands_are_in_the_order_in_which_they_were_asked(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    async with host.commands() as commands:
        asked = [await relay.spawn() for _ in range(10)]
        async with asyncio.timeout(60):
            got = [(await anext(commands)).body.agent_id for _ in asked]  # type: ignore[union-attr]
    assert got == [queued.id for queued in asked]
