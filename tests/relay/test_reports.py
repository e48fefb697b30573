"""What hosts say of their agents."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from relay_in_process import RelayInProcess
from scripted_host import ScriptedHost, agent

from relay.core.tokens import token_hash
from relay.wire import endpoints
from relay.wire.agents import CauseKind, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.events import Event, EventType
from relay.wire.orchestrators import AckClass, Report


async def events(relay: RelayInProcess) -> list[Event]:
    async with relay.store.reading() as tx:
        return await tx.events.page(0, agent_id=None, orchestrator_id=None, limit=1000)


async def test_reports_are_taken_in_order_and_each_once(relay: RelayInProcess, host: ScriptedHost) -> None:
    reports = [
        Report(seq=seq, at=seq, kind=status, agent=agent("ag-1", status, updated_at=seq))
        for seq, status in enumerate((Status.STARTING, Status.RUNNING, Status.SUCCEEDED), 1)
    ]
    acks = (await host.send(reports)).acks
    assert [(ack.seq, ack.ack) for ack in acks] == [(seq, AckClass.COMMITTED) for seq in (1, 2, 3)]
    again = (await host.send(reports)).acks
    assert [ack.ack for ack in again] == [AckClass.DUPLICATE] * 3
    told = [event for event in await events(relay) if event.agent_id == "ag-1"]
    assert [(event.at, event.data["kind"]) for event in told] == [
        (1, "starting"),
        (2, "running"),
        (3, "succeeded"),
    ]
    assert told[-1].type == EventType.AGENT_ENDED
    assert all(event.received_at > 1_000_000 for event in told)


async def test_a_new_state_directory_counts_from_the_start(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"), agent("ag-2"))
    restarted = ScriptedHost(relay.client(), state_id=host.state_id)
    await restarted.register()
    assert (await restarted.report(agent("ag-3"))).acks[0].ack is AckClass.DUPLICATE
    fresh = ScriptedHost(relay.client())
    await fresh.register(take_over=True)
    assert (await fresh.report(agent("ag-3"))).acks[0].ack is AckClass.COMMITTED


async def test_another_hosts_agent_is_rejected_alone(relay: RelayInProcess, host: ScriptedHost) -> None:
    await host.report(agent("ag-1"))
    other = ScriptedHost(relay.client(), "h2")
    await other.register()
    acks = (await other.report(agent("ag-1", Status.FAILED), agent("ag-2"))).acks
    assert [ack.ack for ack in acks] == [AckClass.REJECTED, AckClass.COMMITTED]
    assert "belongs to host h1" in (acks[0].message or "")
    assert (await relay.get("ag-1")).status is Status.RUNNING


async def test_a_store_that_cannot_takes_nothing_and_asks_for_all_again(
    relay: RelayInProcess, host: ScriptedHost, tmp_path: Path
) -> None:
    if not (tmp_path / "relay.db").exists():
        pytest.skip("breaks the database by a trigger of SQLite's")

    def execute(statement: str) -> None:
        with sqlite3.connect(tmp_path / "relay.db", timeout=60) as database:
            database.execute(statement)

    # in a thread: the relay, which may be in the middle of a transaction, lives in our event loop
    await asyncio.to_thread(
        execute,
        "CREATE TRIGGER broken BEFORE INSERT ON agents WHEN new.id = 'ag-2' "
        "BEGIN SELECT RAISE(FAIL, 'broken'); END",
    )
    acks = (await host.report(agent("ag-1"), agent("ag-2"))).acks
    assert [ack.ack for ack in acks] == [AckClass.RETRY] * 2
    with pytest.raises(ApiError):
        await relay.get("ag-1")
    await asyncio.to_thread(execute, "DROP TRIGGER broken")
    host.seq = 0
    assert [ack.ack for ack in (await host.report(agent("ag-1"), agent("ag-2"))).acks] == [
        AckClass.COMMITTED
    ] * 2


async def test_what_a_roster_does_not_name_is_lost_until_it_is_found(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.report(agent("ag-1"), agent("ag-2"), agent("ag-3", Status.FAILED))
    await host.roster(agent("ag-1"))
    lost = await relay.get("ag-2")
    assert lost.status is Status.LOST
    assert lost.cause is not None
    assert (lost.cause.kind, lost.cause.message) == (CauseKind.UNKNOWN, "the host no longer knows this agent")
    assert (await relay.get("ag-3")).status is Status.FAILED
    await host.roster(agent("ag-1"), agent("ag-2"))
    assert (await relay.get("ag-2")).status is Status.RUNNING
    assert (await events(relay))[-1].type == EventType.AGENT_FOUND


async def test_a_roster_leaves_alone_what_was_asked_for_and_not_confirmed(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    queued = await relay.spawn()
    async with host.commands() as commands:
        await anext(commands)
    await host.roster()
    assert (await relay.get(queued.id)).status is Status.QUEUED


async def test_a_roster_leaves_alone_what_is_younger_than_itself(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    taken_at = now_ms() - 1000
    await host.report(agent("ag-1"), agent("ag-2", updated_at=taken_at - 1))
    await host.roster(taken_at=taken_at)
    assert (await relay.get("ag-1")).status is Status.RUNNING
    assert (await relay.get("ag-2")).status is Status.LOST


async def test_late_reports_do_not_undo_the_roster_but_are_told(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    await host.roster(agent("ag-1", Status.SUCCEEDED, updated_at=300))
    late = [
        agent("ag-1", Status.RUNNING, updated_at=200),
        agent("ag-1", Status.SUCCEEDED, updated_at=300),
    ]
    await host.report(*late)
    assert (await relay.get("ag-1")).status is Status.SUCCEEDED
    told = [event for event in await events(relay) if event.agent_id == "ag-1"]
    assert [(event.type, event.data["status"], event.at) for event in told] == [
        (EventType.AGENT_CHANGED, "running", 200),
        (EventType.AGENT_ENDED, "succeeded", 300),
    ]


async def test_an_agents_own_token_lets_it_see_itself_only(relay: RelayInProcess, host: ScriptedHost) -> None:
    secret = "mst_" + "b" * 64
    await host.report(agent("ag-1"), token_hash=token_hash(secret))
    await host.report(agent("ag-2"))
    own = relay.client(secret)
    assert (await own.call(endpoints.GET_AGENT, path={"id": "ag-1"})).id == "ag-1"
    for call in (
        own.call(endpoints.GET_AGENT, path={"id": "ag-2"}),
        own.call(endpoints.LIST_AGENTS),
        own.call(endpoints.STOP_AGENT, path={"id": "ag-1"}),
    ):
        with pytest.raises(ApiError) as refusal:
            await call
        assert refusal.value.code is Code.FORBIDDEN
    await host.report(agent("ag-1", Status.SUCCEEDED))
    await relay.client().call(endpoints.FORGET_AGENT, path={"id": "ag-1"})
    with pytest.raises(ApiError) as refusal:
        await own.call(endpoints.GET_AGENT, path={"id": "ag-1"})
    assert refusal.value.code is Code.UNAUTHORIZED


async def test_a_host_that_runs_what_it_was_never_sent_is_not_sent_it(
    relay: RelayInProcess, host: ScriptedHost
) -> None:
    """As after the relay's database was put back to an older copy."""
    await host.beat(draining=True)
    waiting = await relay.spawn()
    await host.report(agent(waiting.id))
    await host.beat(draining=False)
    await relay.spawn(label="next")
    async with host.commands() as commands:
        assert (await anext(commands)).body.request.label == "next"  # type: ignore[union-attr]
