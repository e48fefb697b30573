"""What every store of the relay must do; see `relay.core.ports`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scripted_host import agent

from relay.core.ports import Store
from relay.core.records import AgentRecord, CommandState, EventDraft, HostRecord, NewCommand, TokenRecord
from relay.wire.agents import SpawnRequest, Status
from relay.wire.approvals import Approval, ApprovalState
from relay.wire.commands import SpawnCommand, StopCommand
from relay.wire.health import Scope
from relay.wire.orchestrators import Load, Registration
from relay.wire.queries import AgentListQuery
from relay.wire.steering import StopRequest

__all__ = ["RelayStoreContract"]


def record(
    agent_id: str, stored_at: int = 1, status: Status = Status.RUNNING, **facts: object
) -> AgentRecord:
    ended_at = stored_at if agent(agent_id, status).ended else None
    return AgentRecord(agent(agent_id, status, **facts), stored_at, ended_at=ended_at)


def host(id_: str = "h1") -> HostRecord:
    facts = Registration(id=id_, hostname=id_, instance_id="i", state_id="s")
    return HostRecord(facts, 1, True, False, changed_at=1, last_seen=1, created_at=1)


def spawn(agent_id: str, host_id: str | None, deadline_at: int | None = None) -> NewCommand:
    request = SpawnRequest(argv=["true"], env={"SECRET": "planted"})
    body = SpawnCommand(agent_id=agent_id, request=request, requested_by="me", queued_at=1)
    return NewCommand(body, 1, host_id, deadline_at=deadline_at)


class RelayStoreContract:
    async def test_an_agent_comes_back_as_it_was_stored(self, store: Store) -> None:
        stored = replace(
            record("ag-1", 5, label="λ 'x' %", tags=["a", "b"], idempotency_key="k"),
            caller="me",
            delivered_at=6,
            confirmed=True,
        )
        async with store.writing() as tx:
            await tx.agents.put([stored])
        async with store.reading() as tx:
            assert await tx.agents.get("ag-1") == stored
            assert await tx.agents.by_key("me", "k") == stored
            assert await tx.agents.by_key("you", "k") is None
            assert await tx.agents.get_many(["ag-1", "ag-2"]) == {"ag-1": stored}

    async def test_who_asked_for_an_agent_and_when_is_never_overwritten(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put([replace(record("ag-1", 5, idempotency_key="k"), caller="me")])
            await tx.agents.put([record("ag-1", 9, Status.SUCCEEDED)])
            found = await tx.agents.by_key("me", "k")
        assert found is not None
        assert (found.stored_at, found.caller, found.agent.status) == (5, "me", Status.SUCCEEDED)

    async def test_a_key_names_one_agent_per_caller(self, store: Store) -> None:
        first = replace(record("ag-1", idempotency_key="k"), caller="me")
        async with store.writing() as tx:
            await tx.agents.put([first])
            await tx.agents.put([replace(record("ag-2", idempotency_key="k"), caller="you")])
        with pytest.raises(Exception, match=r"(?i)unique"):
            async with store.writing() as tx:
                await tx.agents.put([replace(record("ag-3", idempotency_key="k"), caller="me")])

    async def test_a_failed_block_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as tx:
                await tx.agents.put([record("ag-1")])
                raise ZeroDivisionError
        async with store.reading() as tx:
            assert await tx.agents.get("ag-1") is None

    async def test_agents_are_found_by_every_filter_newest_first(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put(
                [
                    record("ag-1", 1, orchestrator_id="h1", label="x", tags=["t", "100%"]),
                    record("ag-2", 2, Status.FAILED, orchestrator_id="h2", parent_id="ag-1"),
                    record("ag-3", 3, Status.QUEUED, provider="claude", tags=["tt"]),
                ]
            )

            async def ids(**query: object) -> list[str]:
                found = await tx.agents.find(AgentListQuery(**query))  # type: ignore[arg-type]
                return [item.id for item in found]

            assert await ids() == ["ag-3", "ag-2", "ag-1"]
            assert await ids(limit=2) == ["ag-3", "ag-2"]
            assert await ids(status="live") == ["ag-3", "ag-1"]
            assert await ids(status="ended") == ["ag-2"]
            assert await ids(status="failed,queued") == ["ag-3", "ag-2"]
            assert await ids(orchestrator_id="h1") == ["ag-1"]
            assert await ids(provider="claude") == ["ag-3"]
            assert await ids(label="x") == ["ag-1"]
            assert await ids(tag="t") == ["ag-1"]
            assert await ids(tag="100%") == ["ag-1"]
            assert await ids(tag="%") == []
            assert await ids(parent_id="ag-1") == ["ag-2"]
            with pytest.raises(ValueError, match="sleeping"):
                await ids(status="sleeping")

    async def test_candidates_of_a_reference(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put([record("ag-12"), record("ag-13", label="12"), record("ag-2_", label="_")])
            assert {item.id for item in await tx.agents.candidates("12")} == {"ag-12", "ag-13"}
            assert {item.id for item in await tx.agents.candidates("ag-1")} == {"ag-12", "ag-13"}
            assert {item.id for item in await tx.agents.candidates("_")} == {"ag-2_"}

    async def test_live_agents_of_hosts(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put(
                [
                    record("ag-1", orchestrator_id="h1"),
                    record("ag-2", 2, Status.FAILED, orchestrator_id="h1"),
                    record("ag-3", orchestrator_id="h2"),
                    record("ag-4", status=Status.QUEUED),
                ]
            )
            assert [item.id for item in await tx.agents.live_of("h1")] == ["ag-1"]
            rosters = await tx.agents.rosters()
            assert {name: [entry.id for entry in roster] for name, roster in rosters.items()} == {
                "h1": ["ag-1"],
                "h2": ["ag-3"],
            }
            assert list(await tx.agents.rosters("h2")) == ["h2"]

    async def test_agents_are_found_by_what_they_ask(self, store: Store) -> None:
        def asked(id_: str, state: ApprovalState = ApprovalState.PENDING) -> Approval:
            return Approval(id=id_, agent_id="-", tool="t", asked_at=1, state=state)

        done = asked("ap-12", ApprovalState.DENIED)
        async with store.writing() as tx:
            await tx.agents.put(
                [
                    record("ag-1", orchestrator_id="h1", approvals=[done, asked("ap-13")]),
                    record("ag-2", orchestrator_id="h2", approvals=[done]),
                    record("ag-3", orchestrator_id="h2", approvals=[asked("ap-2%")]),
                    record("ag-4", orchestrator_id="h2"),
                ]
            )

            async def asking(**query: object) -> set[str]:
                return {item.id for item in await tx.agents.asking(**query)}  # type: ignore[arg-type]

            assert await asking(pending=True) == {"ag-1", "ag-3"}
            assert await asking(pending=False) == {"ag-1", "ag-2", "ag-3"}
            assert await asking(pending=True, host_id="h2") == {"ag-3"}
            assert await asking(pending=False, agent_id="ag-2") == {"ag-2"}
            assert {item.id for item in await tx.agents.asked("ap-12")} == {"ag-1", "ag-2"}
            assert {item.id for item in await tx.agents.asked("13")} == {"ag-1"}
            assert await tx.agents.asked("%") == await tx.agents.asked("p-1") == []

            await tx.agents.put([record("ag-1", orchestrator_id="h1", approvals=[done])])
            assert await asking(pending=True) == {"ag-3"}

    async def test_old_agents_are_listed_and_deleted(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put([record(f"ag-{at}", at, Status.FAILED) for at in (1, 2, 3)])
            await tx.agents.put([record("ag-live", 1)])
            assert await tx.agents.ended_before(3, 10) == ["ag-1", "ag-2"]
            assert await tx.agents.ended_before(3, 1) == ["ag-1"]
            await tx.agents.delete(["ag-1", "ag-live"])
            assert await tx.agents.get("ag-1") is None

    async def test_command_ids_ascend_and_are_never_used_again(self, store: Store) -> None:
        async with store.writing() as tx:
            first = await tx.commands.add(spawn("ag-1", "h1"))
            await tx.commands.delete([first])
        async with store.writing() as tx:
            assert await tx.commands.add(spawn("ag-1", "h1")) > first

    async def test_a_queue_holds_what_is_not_settled(self, store: Store) -> None:
        stop = NewCommand(StopCommand(agent_id="ag-1", request=StopRequest(), by="me"), 1, "h1", expires_at=9)
        async with store.writing() as tx:
            one = await tx.commands.add(spawn("ag-1", "h1"))
            two = await tx.commands.add(stop)
            other = await tx.commands.add(spawn("ag-2", "h2"))
            assert [c.id for c in await tx.commands.pending("h1", 0)] == [one, two]
            assert [c.body for c in await tx.commands.pending("h1", one)] == [stop.body]
            assert [c.id for c in await tx.commands.of_agent("ag-1")] == [one, two]
            await tx.commands.mark_delivered([one], 5)
            await tx.commands.mark_delivered([one, two], 6)
            assert [c.delivered_at for c in await tx.commands.pending("h1", 0)] == [5, 6]
            await tx.commands.settle(one, CommandState.DONE, {"result": {"bytes": 3}}, 7)
            assert [c.id for c in await tx.commands.pending("h1", 0)] == [two]
            settled = await tx.commands.get(one)
            assert settled is not None
            assert (settled.state, settled.body, settled.outcome) == ("done", None, {"result": {"bytes": 3}})
            await tx.commands.prune(settled_before=8, expired_before=10)
            assert await tx.commands.get(one) is None
            assert await tx.commands.get(two) is None
            assert await tx.commands.get(other) is not None

    async def test_spawns_that_wait(self, store: Store) -> None:
        async with store.writing() as tx:
            unplaced = await tx.commands.add(spawn("ag-1", None, deadline_at=50))
            placed = await tx.commands.add(spawn("ag-2", "h1", deadline_at=40))
            delivered = await tx.commands.add(spawn("ag-3", "h1", deadline_at=10))
            await tx.commands.mark_delivered([delivered], 5)
            assert [c.id for c in await tx.commands.unplaced()] == [unplaced]
            assert await tx.commands.next_deadline() == 40
            assert [c.id for c in await tx.commands.overdue(40)] == [placed]
            assert [c.id for c in await tx.commands.overdue(99)] == [unplaced, placed]

    async def test_the_event_log_is_bounded_and_says_what_it_dropped(self, store: Store) -> None:
        def drafts(count: int) -> list[EventDraft]:
            return [EventDraft("t", 1, 2, f"h{number % 2}", "ag-1", {"n": number}) for number in range(count)]

        async with store.writing() as tx:
            await tx.events.append(drafts(10), keep=100)
            assert (await tx.events.head(), await tx.events.trimmed()) == (10, 0)
        async with store.writing() as tx:
            for _ in range(200):
                await tx.events.append(drafts(1), keep=100)
            head, trimmed = await tx.events.head(), await tx.events.trimmed()
            assert head == 210
            assert 110 - 64 <= trimmed <= 110
            page = await tx.events.page(0, agent_id=None, orchestrator_id=None, limit=1000)
            assert [event.id for event in page] == list(range(trimmed + 1, 211))
        async with store.writing() as tx:
            await tx.events.append(drafts(1000), keep=100)
            assert await tx.events.trimmed() == 1110
            only = await tx.events.page(1200, agent_id="ag-1", orchestrator_id="h1", limit=3)
            assert [event.orchestrator_id for event in only] == ["h1"] * 3
            assert await tx.events.page(0, agent_id="ag-2", orchestrator_id=None, limit=3) == []

    async def test_hosts(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.hosts.put(host())
            await tx.hosts.set_last_seq("h1", 7)
            beat = replace(host(), last_seen=9, skew_ms=-3, load=Load(running=2))
            await tx.hosts.beats([beat, replace(host("gone"), last_seen=9)])
            await tx.hosts.put(replace(beat, epoch=2, online=False))
            assert await tx.hosts.all() == [replace(beat, epoch=2, online=False, last_seq=7)]
            assert await tx.hosts.last_seq("h1") == 7
            await tx.hosts.delete("h1")
            assert await tx.hosts.all() == []

    async def test_tokens(self, store: Store) -> None:
        token = TokenRecord("tk-1", "f" * 64, Scope.AGENT, 1, "ag-1", "label", 5)
        async with store.writing() as tx:
            await tx.tokens.put(token)
            await tx.tokens.put(replace(token, hash="e" * 64))
            await tx.tokens.used({"tk-1": 9, "tk-gone": 9})
            assert await tx.tokens.all() == [replace(token, hash="e" * 64, last_used_at=9)]
            await tx.tokens.delete(["tk-1", "tk-gone"])
            assert await tx.tokens.all() == []

    async def test_writers_take_turns_so_a_rule_may_read_before_it_writes(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.hosts.put(host())

        async def count_up() -> None:
            async with store.writing() as tx:
                seq = await tx.hosts.last_seq("h1")
                await asyncio.sleep(0)
                await tx.hosts.set_last_seq("h1", seq + 1)

        await asyncio.gather(*(count_up() for _ in range(20)))
        async with store.reading() as tx:
            assert await tx.hosts.last_seq("h1") == 20

    async def test_readers_see_whole_changes_while_somebody_writes(self, store: Store) -> None:
        async with store.writing() as tx:
            await tx.agents.put([record("ag-1")])
            async with store.reading() as other:
                assert await other.agents.get("ag-1") is None

    async def test_it_reports_its_health(self, store: Store) -> None:
        assert (await store.check())[0] == "ok"
        await store.scrub()
