"""A resume goes to the host of the agent whose conversation it goes on with, and waits for no other."""

from __future__ import annotations

import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Placement, SpawnRequest, Status
from relay.wire.commands import SpawnCommand, StopCommand
from relay.wire.errors import ApiError, Code
from relay.wire.steering import StopRequest

OLD = "ag-00000000000a"


async def resume(relay: RelayInProcess, reference: str = OLD, **fields: object) -> ManagedAgent:
    request = SpawnRequest(resume=reference, prompt="go on", **fields)  # type: ignore[arg-type]
    return (await relay.client().call(endpoints.SPAWN, request)).agent


@pytest.fixture
async def held(relay: RelayInProcess, host: ScriptedHost) -> ManagedAgent:
    """An agent of h1 that held a conversation, beside a host with nothing to do."""
    await ScriptedHost(relay.client(), "idle").register()
    facts = {"provider": "claude", "provider_session_id": "s-1", "cwd": "/w", "label": "fixer", "tags": ["t"]}
    old = agent(OLD, Status.LOST, approval_mode="read-only", **facts)
    await host.report(old)
    return old


async def test_it_is_sent_to_the_host_that_held_it(
    relay: RelayInProcess, host: ScriptedHost, held: ManagedAgent
) -> None:
    queued = await resume(relay, "fixer")
    assert (queued.orchestrator_id, queued.resumed_from, queued.provider) == ("h1", OLD, "claude")
    assert (queued.cwd, queued.label, queued.tags, queued.approval_mode) == (
        "/w",
        "fixer",
        ["t"],
        "read-only",
    )
    async with host.commands() as commands:
        body = (await anext(commands)).body
    assert isinstance(body, SpawnCommand)
    assert (body.request.resume, body.request.provider, body.request.prompt) == (OLD, "claude", "go on")


async def test_it_waits_for_that_host_and_says_so(relay: RelayInProcess, held: ManagedAgent) -> None:
    relay.relay._leases.extend(-1000)

    async def offline() -> bool:
        return all(host.offline_since for host in await relay.client().call(endpoints.LIST_HOSTS))

    await eventually(offline)
    await ScriptedHost(relay.client(), "fresh").register()
    queued = await resume(relay)
    assert (queued.status, queued.orchestrator_id) == (Status.QUEUED, "h1")
    assert "waits for host h1, which is offline" in (queued.reason or "")


async def test_what_does_not_fit_is_refused(
    relay: RelayInProcess, host: ScriptedHost, held: ManagedAgent
) -> None:
    running = agent("ag-00000000000b", provider="claude", provider_session_id="s-2")
    silent = agent("ag-00000000000c", Status.FAILED)
    await host.report(running, silent)
    for reference, fields, code, words in (
        ("nobody", {}, Code.NOT_FOUND, "no agent"),
        (running.id, {}, Code.CONFLICT, "is running"),
        (silent.id, {}, Code.CONFLICT, "never said which conversation"),
        (OLD, {"provider": "codex"}, Code.INVALID, "of claude, not of codex"),
        (OLD, {"orchestrator_id": "idle"}, Code.INVALID, "on host h1, not on idle"),
        (OLD, {"cwd": "/elsewhere"}, Code.INVALID, "in /w, not in /elsewhere"),
        (OLD, {"placement": Placement(labels={"a": "b"})}, Code.INVALID, "on host h1"),
    ):
        with pytest.raises(ApiError, match=words) as refused:
            await resume(relay, reference, **fields)  # type: ignore[arg-type]
        assert refused.value.code is code


async def test_stopping_an_ended_agent_reaches_its_host_only_if_another_is_to_follow(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    over, again = (f"ag-{letter * 12}" for letter in "ab")
    await host.report(agent(over, Status.FAILED), agent(again, Status.FAILED, restart_at=1))
    client = relay.client()
    for agent_id in (over, again):
        await client.call(endpoints.STOP_AGENT, StopRequest(), path={"id": agent_id})
    async with host.commands() as commands:
        envelope = await anext(commands)
        assert isinstance(envelope.body, StopCommand)
        assert envelope.body.agent_id == again
        await host.ack(envelope, agent(again, Status.FAILED))
    assert (await relay.get(again)).restart_at is None
