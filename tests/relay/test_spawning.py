"""Spawns: once per key, placed, queued with a reason, rejected at the deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from relay_in_process import RelayInProcess, eventually
from scripted_host import ScriptedHost, agent
from sqlalchemy import text

from relay.wire import endpoints
from relay.wire.agents import CauseKind, Placement, Presence, SpawnRequest, Status
from relay.wire.commands import SpawnCommand
from relay.wire.errors import ApiError, Code, ErrorDetail
from relay.wire.health import Scope
from relay.wire.orchestrators import Load, ProviderInfo


async def test_a_spawn_reaches_its_host_with_everything_that_was_asked(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    queued = await relay.spawn("sh", "-c", "true", env={"A": "b"}, label="x", tags=["t"], timeout_ms=5)
    assert (queued.status, queued.orchestrator_id, queued.env_keys) == (Status.QUEUED, "h1", ["A"])
    assert (queued.title, queued.label, queued.tags, queued.requested_by) == (
        "sh -c true",
        "x",
        ["t"],
        "admin",
    )
    async with host.commands() as commands:
        envelope = await anext(commands)
        body = envelope.body
        assert isinstance(body, SpawnCommand)
        assert (body.agent_id, body.request.env, body.requested_by) == (queued.id, {"A": "b"}, "admin")
        await host.ack(envelope, agent(queued.id, Status.STARTING))
    started = await relay.get(queued.id)
    assert (started.status, started.presence, started.label) == (Status.STARTING, Presence.LIVE, "x")


async def test_a_key_names_one_agent_also_for_twenty_at_once(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    client = relay.client()
    request = SpawnRequest(argv=["true"], idempotency_key="k")
    replies = await asyncio.gather(*(client.call(endpoints.SPAWN, request) for _ in range(20)))
    assert len({reply.agent.id for reply in replies}) == 1
    assert sorted(reply.created for reply in replies) == [False] * 19 + [True]
    async with host.commands() as commands:
        await anext(commands)
        await relay.spawn(label="next")
        following = await anext(commands)
        assert isinstance(following.body, SpawnCommand)
        assert following.body.request.label == "next"


async def test_the_same_key_of_another_caller_is_another_agent(relay: RelayInProcess) -> None:
    other = relay.client(await relay.token(Scope.OPERATOR))
    request = SpawnRequest(argv=["true"], idempotency_key="k")
    first = await relay.client().call(endpoints.SPAWN, request)
    second = await other.call(endpoints.SPAWN, request)
    assert second.created
    assert first.agent.id != second.agent.id


async def test_a_given_id_is_used_once(relay: RelayInProcess) -> None:
    assert (await relay.spawn(agent_id="ag-0123456789ab")).id == "ag-0123456789ab"
    with pytest.raises(ApiError, match="is taken") as refusal:
        await relay.spawn(agent_id="ag-0123456789ab")
    assert refusal.value.code is Code.CONFLICT


async def test_an_unknown_host_is_named_with_those_that_are_known(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    with pytest.raises(ApiError, match="known hosts: h1") as refusal:
        await relay.spawn(orchestrator_id="h2")
    assert refusal.value.code is Code.UNKNOWN_ORCHESTRATOR


async def test_a_spawn_without_a_host_waits_visibly_until_one_comes(relay: RelayInProcess) -> None:
    queued = await relay.spawn()
    assert (queued.reason, queued.presence) == ("no host has registered yet", Presence.NONE)
    assert queued.deadline_at == queued.created_at + 600_000
    host = ScriptedHost(relay.client())
    await host.register()
    async with host.commands() as commands:
        envelope = await anext(commands)
        assert isinstance(envelope.body, SpawnCommand)
        assert envelope.body.agent_id == queued.id
        await relay.get(queued.id)
        following = await relay.spawn()
        assert (await anext(commands)).body.agent_id == following.id  # type: ignore[union-attr]
    assert (await relay.get(queued.id)).orchestrator_id == "h1"


async def test_a_waiting_spawn_is_placed_when_a_provider_appears(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    request = SpawnRequest(provider="codex", prompt="hi")
    queued = (await relay.client().call(endpoints.SPAWN, request)).agent
    assert queued.reason == "no known host has the provider codex installed (looked at: h1)"
    async with host.commands() as commands:
        await host.beat(capabilities=[ProviderInfo(name="codex", path="/x")])
        assert (await anext(commands)).id


async def test_a_waiting_spawn_takes_the_place_of_one_that_ended(relay: RelayInProcess) -> None:
    host = ScriptedHost(relay.client())
    await host.register(max_agents=1)
    first, second = await relay.spawn(), await relay.spawn()
    assert "is full (1 of 1 agents)" in (second.reason or "")
    async with host.commands() as commands:
        await host.ack(await anext(commands), agent(first.id))
        await host.report(agent(first.id, Status.SUCCEEDED))
        envelope = await anext(commands)
        assert isinstance(envelope.body, SpawnCommand)
        assert envelope.body.agent_id == second.id


async def test_labels_choose_among_hosts(relay: RelayInProcess) -> None:
    for id_, zone in (("a", "x"), ("b", "y")):
        await ScriptedHost(relay.client(), id_).register(labels={"zone": zone})
    assert (await relay.spawn(placement=Placement(labels={"zone": "y"}))).orchestrator_id == "b"


async def test_a_burst_spreads_over_the_hosts(relay: RelayInProcess) -> None:
    for id_ in ("a", "b", "c", "d"):
        await ScriptedHost(relay.client(), id_).register(max_agents=5)
    placed = [(await relay.spawn()).orchestrator_id for _ in range(20)]
    assert {id_: placed.count(id_) for id_ in "abcd"} == dict.fromkeys("abcd", 5)


async def test_a_heartbeat_from_before_a_spawn_does_not_hide_it(relay: RelayInProcess) -> None:
    one, other = (ScriptedHost(relay.client(), id_) for id_ in "ab")
    for each in (one, other):
        await each.register()
    first = await relay.spawn()
    async with one.commands() as commands:
        await one.ack(await anext(commands), agent(first.id))
    await one.beat(agents=[])  # measured before it took the spawn
    assert (await relay.spawn()).orchestrator_id == "b"


async def test_a_heartbeat_from_before_an_end_does_not_take_the_place_again(relay: RelayInProcess) -> None:
    host = ScriptedHost(relay.client())
    await host.register(max_agents=1)
    await host.report(agent("ag-1"))
    await host.roster(agent("ag-1"))
    await host.report(agent("ag-1", Status.SUCCEEDED))
    await host.beat(running=1, agents=["ag-1"])  # measured before the end
    assert (await relay.spawn()).orchestrator_id == "h1"


async def test_a_roster_tells_what_its_host_counts(relay: RelayInProcess) -> None:
    host = ScriptedHost(relay.client())
    await host.register(max_agents=2)
    first = await relay.spawn()
    async with host.commands() as commands:
        await host.ack(await anext(commands), agent(first.id))
    await host.register(max_agents=2, load=Load(running=1))
    assert "is full" in ((await relay.spawn()).reason or "")
    async with host.commands() as commands:
        await host.roster(agent(first.id))
        assert (await anext(commands)).id


async def test_nobody_took_it_by_the_deadline(relay: RelayInProcess) -> None:
    queued = await relay.spawn(queue_timeout_ms=50)
    ended = await relay.get(queued.id, "ended")
    assert ended.status is Status.REJECTED
    assert ended.cause is not None
    assert ended.cause.kind is CauseKind.REJECTED
    assert "no host has registered yet" in ended.cause.message
    host = ScriptedHost(relay.client())
    await host.register()
    follower = await relay.spawn()
    async with host.commands() as commands:
        envelope = await anext(commands)
        assert isinstance(envelope.body, SpawnCommand)
        assert envelope.body.agent_id == follower.id


async def test_what_was_sent_is_never_rejected_by_the_deadline_nor_given_away(relay: RelayInProcess) -> None:
    host, other = ScriptedHost(relay.client(), "a"), ScriptedHost(relay.client(), "b")
    await host.register()
    queued = await relay.spawn(queue_timeout_ms=3000)
    async with host.commands() as commands:
        await anext(commands)
    await other.register()
    late = await relay.spawn(orchestrator_id="b", queue_timeout_ms=3000)
    relay.relay._leases.extend(-1000)
    async with asyncio.timeout(60):
        while (await relay.get(late.id)).status is not Status.REJECTED:
            await other.beat(draining=True)
    now = await relay.get(queued.id)
    assert (now.status, now.orchestrator_id, now.presence) == (Status.QUEUED, "a", Presence.UNKNOWN)
    assert "sent to a at" in (now.reason or "")
    assert "a is offline since" in (now.reason or "")


async def test_a_host_that_goes_offline_gives_back_what_it_was_never_sent(relay: RelayInProcess) -> None:
    gone = ScriptedHost(relay.client(), "a")
    await gone.register()
    queued = await relay.spawn()
    assert queued.orchestrator_id == "a"
    named = await relay.spawn(orchestrator_id="a")
    relay.relay._leases.extend(-1000)
    other = ScriptedHost(relay.client(), "b")

    async def reached() -> bool:
        return (await relay.get(queued.id)).orchestrator_id != "a"

    await eventually(reached)
    await other.register()
    async with other.commands() as commands:
        envelope = await anext(commands)
        assert isinstance(envelope.body, SpawnCommand)
        assert envelope.body.agent_id == queued.id

    async def waits() -> bool:  # the queue says so when it next looks at what it has been given back
        reason = (await relay.get(named.id)).reason or ""
        return "waits for host a, which is offline since" in reason

    await eventually(waits)
    still = await relay.get(named.id)
    assert (still.orchestrator_id, still.status) == ("a", Status.QUEUED)


async def test_a_refusal_of_the_host_is_the_verdict(relay: RelayInProcess, host: ScriptedHost) -> None:
    first, second = await relay.spawn(), await relay.spawn()
    error = ErrorDetail(code="policy_refused", message="not here")
    async with host.commands() as commands:
        await host.ack(await anext(commands), error=error)
        await host.ack(await anext(commands), agent(second.id, Status.REJECTED, result="mine"), error=error)
    ended = await relay.get(first.id)
    assert ended.status is Status.REJECTED
    assert ended.cause is not None
    assert ended.cause.message == "not here"
    assert (await relay.get(second.id)).result == "mine"


async def test_environment_values_are_forgotten_once_the_host_has_them(
    relay: RelayInProcess, host: ScriptedHost, tmp_path: Path
) -> None:
    secret = "planted-5f2c"
    queued = await relay.spawn(env={"SECRET": secret})

    def on_disk() -> bool:
        files = [path for path in tmp_path.iterdir() if path.name.startswith("relay.db")]
        return any(secret.encode() in path.read_bytes() for path in files)

    sqlite = (tmp_path / "relay.db").exists()
    assert on_disk() or not sqlite
    async with host.commands() as commands:
        await host.ack(await anext(commands), agent(queued.id))

    async def reached() -> bool:
        return not (on_disk())

    await eventually(reached)
    admin = relay.client()
    for shown in (
        await admin.call(endpoints.LIST_AGENTS),
        await admin.call(endpoints.GET_AGENT, path={"id": queued.id}),
        await admin.call(endpoints.LIST_HOSTS),
    ):
        assert secret not in str(shown)
    async with relay.store.reading() as tx:
        assert secret not in str(await tx.events.page(0, agent_id=None, orchestrator_id=None, limit=99))


async def test_a_full_disk_changes_nothing_and_says_so(relay: RelayInProcess, tmp_path: Path) -> None:
    if not (tmp_path / "relay.db").exists():
        pytest.skip("a limit of SQLite's stands for the full disk")
    async with relay.store.connected() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(ApiError, match="disk is full, nothing was changed") as refusal:
        await relay.spawn("cat", stdin="x" * 100_000)
    assert refusal.value.code is Code.STORAGE_FULL
    async with relay.store.connected() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
    assert await relay.client().call(endpoints.LIST_AGENTS) == []
    assert (await relay.spawn("cat", stdin="x" * 100_000)).status is Status.QUEUED
