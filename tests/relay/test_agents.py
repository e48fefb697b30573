"""Agents as clients see and steer them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import CauseKind, Status
from relay.wire.commands import ForgetCommand, InputCommand, SignalCommand, StopCommand
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.queries import AgentListQuery, AgentQuery
from relay.wire.steering import InputRequest, InputResult, SignalRequest, StopRequest


async def go_offline(relay: RelayInProcess) -> None:
    relay.relay._leases.extend(-1000)

    async def reached() -> bool:
        return (await relay.client().call(endpoints.LIST_HOSTS))[0].offline_since is not None

    await eventually(reached)


async def stop(relay: RelayInProcess, agent_id: str, **facts: Any) -> Any:
    return await relay.client().call(endpoints.STOP_AGENT, StopRequest(**facts), path={"id": agent_id})


@pytest.mark.parametrize(
    ("wait", "until"),
    [
        ("running", agent("ag-1", Status.RUNNING)),
        ("ready", agent("ag-1", Status.RUNNING, ready_at=5)),
        ("ended", agent("ag-1", Status.FAILED)),
    ],
)
async def test_a_waiting_call_returns_when_the_agent_has_come_that_far(
    relay: RelayInProcess, host: ScriptedHost, wait: str, until: Any
) -> None:
    await host.report(agent("ag-1", Status.STARTING))
    waiting = asyncio.create_task(relay.get("ag-1", wait))
    await host.report(agent("ag-1", Status.STARTING))
    assert not waiting.done()
    await host.report(until)
    assert (await waiting).status is until.status


async def test_a_waiting_call_returns_the_agent_as_it_is_when_the_time_is_up(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))
    assert (await relay.get("ag-1", "ended", timeout_ms=50)).status is Status.RUNNING
    with pytest.raises(ApiError, match="running, ready, ended"):
        await relay.get("ag-1", "sleeping")


async def test_references(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-111111111111"), agent("ag-112222222222", label="mine"))
    assert (await relay.get("111")).id == "ag-111111111111"
    assert (await relay.get("ag-112")).id == "ag-112222222222"
    assert (await relay.get("mine")).id == "ag-112222222222"
    with pytest.raises(ApiError, match="give more of the id") as refusal:
        await relay.get("ag-11")
    assert refusal.value.code is Code.AMBIGUOUS
    for reference in ("nope", "%", "ag-11_"):
        with pytest.raises(ApiError) as refusal:
            await relay.get(reference)
        assert refusal.value.code is Code.NOT_FOUND


async def test_lists_are_filtered(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"), agent("ag-2", Status.FAILED))
    client = relay.client()
    live = await client.call(endpoints.LIST_AGENTS, query=AgentListQuery(status="live"))
    assert [one.id for one in live] == ["ag-1"]
    for query in (AgentListQuery(status="x"), AgentListQuery(limit=0)):
        with pytest.raises(ApiError) as refusal:
            await client.call(endpoints.LIST_AGENTS, query=query)
        assert refusal.value.code is Code.INVALID


async def test_a_stop_is_sent_once_and_its_word_is_the_hosts(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))
    assert (await stop(relay, "ag-1", grace_ms=5)).status is Status.RUNNING
    await stop(relay, "ag-1", grace_ms=5)
    await stop(relay, "ag-1", kill=True, by="somebody")
    async with host.commands() as commands:
        one, two = await anext(commands), await anext(commands)
        assert one.body == StopCommand(agent_id="ag-1", request=StopRequest(grace_ms=5), by="admin")
        assert two.body == StopCommand(
            agent_id="ag-1", request=StopRequest(kill=True, by="somebody"), by="somebody"
        )
        await host.ack(one, agent("ag-1", Status.CANCELLED))
    assert (await stop(relay, "ag-1")).status is Status.CANCELLED


@pytest.mark.parametrize("placed", [True, False])
async def test_a_stop_of_what_no_host_was_sent_ends_it_at_once(
    relay: RelayInProcess, host: ScriptedHost, placed: bool
) -> None:
    await host.beat(draining=not placed)
    queued = await relay.spawn()
    ended = await stop(relay, queued.id)
    assert (ended.status, ended.cause.kind, ended.cause.by) == (Status.CANCELLED, CauseKind.STOPPED, "admin")
    await host.beat(draining=False)
    await relay.spawn(label="next")
    async with host.commands() as commands:
        assert (await anext(commands)).body.request.label == "next"  # type: ignore[union-attr]


async def test_a_stop_for_an_absent_host_is_kept_and_says_so(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"))
    await go_offline(relay)
    told = await stop(relay, "ag-1")
    assert told.status is Status.RUNNING
    assert "will be delivered when host h1 is back (offline since" in told.reason
    await host.beat()
    async with host.commands() as commands:
        assert isinstance((await anext(commands)).body, StopCommand)


async def test_input_and_signals_are_answered_by_the_host(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    client = relay.client()
    async with host.commands() as commands:
        text = InputRequest(text="hi", newline=True)
        sending = asyncio.create_task(client.call(endpoints.SEND_INPUT, text, path={"id": "ag-1"}))
        envelope = await anext(commands)
        assert envelope.body == InputCommand(agent_id="ag-1", request=text)
        assert envelope.expires_at == pytest.approx(envelope.created_at + 15_000, abs=1000)
        await host.ack(envelope, result={"receipt": "written", "bytes": 3})
        assert await sending == InputResult(receipt="written", bytes=3)
        number = SignalRequest(signal=10)
        signalling = asyncio.create_task(client.call(endpoints.SIGNAL_AGENT, number, path={"id": "ag-1"}))
        envelope = await anext(commands)
        assert envelope.body == SignalCommand(agent_id="ag-1", request=number)
        await host.ack(envelope, error=ErrorDetail(code="ended", message="it has just ended"))
        with pytest.raises(ApiError, match="it has just ended") as refusal:
            await signalling
        assert refusal.value.code is Code.ENDED


async def test_a_signal_that_was_never_sent_is_withdrawn(start_relay: Any) -> None:
    relay = await start_relay(signal_timeout_ms=100)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"))
    signal = SignalRequest(signal="TERM")
    with pytest.raises(ApiError, match="it was withdrawn, nothing happened") as refusal:
        await relay.client().call(endpoints.SIGNAL_AGENT, signal, path={"id": "ag-1"})
    assert refusal.value.code is Code.TIMEOUT


async def test_of_a_signal_that_nobody_answers_it_is_unknown_whether_it_was_done(start_relay: Any) -> None:
    relay = await start_relay(signal_timeout_ms=3000)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"))
    signal = SignalRequest(signal="TERM")
    async with host.commands() as commands:
        signalling = asyncio.create_task(
            relay.client().call(endpoints.SIGNAL_AGENT, signal, path={"id": "ag-1"})
        )
        await anext(commands)
        with pytest.raises(ApiError, match="whether it was done is unknown"):
            await signalling


async def test_what_cannot_be_steered_says_why(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"), agent("ag-2", Status.FAILED))
    await host.beat(draining=True)
    queued = await relay.spawn()

    async def send(agent_id: str, **facts: Any) -> ApiError:
        with pytest.raises(ApiError) as refusal:
            await relay.client().call(endpoints.SEND_INPUT, InputRequest(**facts), path={"id": agent_id})
        return refusal.value

    assert (await send("ag-2", text="x")).code is Code.ENDED
    assert (await send(queued.id, text="x")).code is Code.CONFLICT
    assert (await send("ag-1")).code is Code.INVALID
    assert (await send("ag-1", base64="?")).code is Code.INVALID
    await go_offline(relay)
    refusal = await send("ag-1", text="x")
    assert refusal.code is Code.HOST_OFFLINE
    assert refusal.details["offlineSince"]


async def test_an_ended_agent_is_forgotten_here_and_on_its_host(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    ended = agent("ag-1", Status.FAILED)
    await host.report(ended, agent("ag-2"))
    forget = endpoints.FORGET_AGENT
    with pytest.raises(ApiError, match="stop it before"):
        await relay.client().call(forget, path={"id": "ag-2"})
    assert (await relay.client().call(forget, path={"id": "ag-1"})).id == "ag-1"
    await host.roster(ended, agent("ag-2"))
    async with host.commands() as commands:
        envelope = await anext(commands)
        assert envelope.body == ForgetCommand(agent_id="ag-1")
        await host.ack(envelope)
    with pytest.raises(ApiError) as refusal:
        await relay.get("ag-1")
    assert refusal.value.code is Code.NOT_FOUND


async def test_old_endings_are_pruned_and_live_agents_never(start_relay: Any) -> None:
    relay = await start_relay(keep_ms=-1000, retention_every_s=0.05)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"), agent("ag-2", Status.FAILED))

    async def reached() -> bool:
        return len(await relay.client().call(endpoints.LIST_AGENTS)) == 1

    await eventually(reached)
    assert (await relay.client().call(endpoints.GET_AGENT, path={"id": "ag-1"}, query=AgentQuery())).id


async def test_a_host_that_is_not_connected_is_not_waited_for(start_relay: Any) -> None:
    relay = await start_relay(fetch_timeout_s=0)
    host = ScriptedHost(relay.client())
    await host.register()
    await host.report(agent("ag-1"))
    message = InputRequest(text="x", timeout_ms=300_000)
    with pytest.raises(ApiError, match=r"host h1 has not fetched it .* nothing happened: is its daemon run"):
        await relay.client().call(endpoints.SEND_INPUT, message, path={"id": "ag-1"}, timeout_s=30)
    async with host.commands() as commands:
        sending = asyncio.create_task(
            relay.client().call(endpoints.SEND_INPUT, message, path={"id": "ag-1"}, timeout_s=60)
        )
        envelope = await anext(commands)
        await host.ack(envelope, result={"receipt": "written", "bytes": 2})
        assert (await sending).bytes == 2
