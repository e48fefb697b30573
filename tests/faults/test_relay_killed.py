"""The relay comes and goes; what hosts know and what was asked of them does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from muster_processes import agent_argv, is_running, until
from running import Host, RelayServer

from relay.wire import endpoints
from relay.wire.agents import Presence, SpawnRequest, Status
from relay.wire.base import decode
from relay.wire.events import Event
from relay.wire.queries import EventsQuery

Member = Callable[..., Host]


def test_hosts_come_back_to_a_relay_that_was_killed(relay: RelayServer, make_member: Member) -> None:
    make_member("a")
    make_member("b")
    first = relay.spawn(*agent_argv("sleep"), orchestrator_id="a")
    second = relay.spawn(*agent_argv("sleep"), orchestrator_id="b")
    running = [relay.get(agent.id, "running") for agent in (first, second)]
    relay.kill()
    relay.start()
    # A host whose next attempt comes later than its lease ends was offline in between.
    until(lambda: all(relay.get(agent.id).presence is Presence.LIVE for agent in running), "the hosts")
    for before in running:
        now = relay.get(before.id)
        assert (now.status, now.pid) == (Status.RUNNING, before.pid)
        assert relay.stop(before.id).status is Status.CANCELLED
        assert not is_running(before.pid or 0)


def test_a_queued_command_arrives_once_whoever_is_killed(
    relay: RelayServer, make_member: Member, tmp_path: Path
) -> None:
    marks = tmp_path / "started"
    host = make_member("a")
    host.kill()
    queued = relay.spawn("sh", "-c", f"echo $$ >> {marks}; sleep 600", orchestrator_id="a")
    assert queued.status is Status.QUEUED
    relay.kill()
    relay.start()
    host.start()
    running = relay.get(queued.id, "running", 30)
    assert running.status is Status.RUNNING
    relay.kill()
    host.kill()
    relay.start()
    host.start()
    until(lambda: relay.get(queued.id).presence is Presence.LIVE, "the host to report")
    assert relay.get(queued.id).pid == running.pid
    assert len(marks.read_text().split()) == 1
    assert list(host.agents()) == [queued.id]


def test_a_host_killed_before_its_answer_starts_nothing_twice(
    relay: RelayServer, make_member: Member, tmp_path: Path
) -> None:
    marks = tmp_path / "started"
    host = make_member("a", MUSTER_FAILPOINT="before_command_settled")
    asked = relay.spawn("sh", "-c", f"echo $$ >> {marks}; sleep 600", orchestrator_id="a")
    host.died()
    del host.variables["MUSTER_FAILPOINT"]
    host.start()
    running = relay.get(asked.id, "running", 30)
    assert running.status is Status.RUNNING
    assert relay.host("a").id == "a"
    assert len(marks.read_text().split()) == 1


def test_local_work_goes_on_while_the_relay_is_away(relay: RelayServer, make_member: Member) -> None:
    host = make_member("a")
    relay.kill()
    agents = [host.spawn("sh", "-c", f"exit {number}") for number in range(20)]
    ended = [host.ended(agent.id) for agent in agents]
    assert all(agent.status in (Status.SUCCEEDED, Status.FAILED) for agent in ended)
    relay.start()
    until(
        lambda: len(relay.agents()) == 20 and all(agent.ended for agent in relay.agents().values()),
        "all reports",
    )
    for agent in ended:
        told = relay.get(agent.id)
        assert (told.started_at, told.ended_at, told.status) == (
            agent.started_at,
            agent.ended_at,
            agent.status,
        )
        assert told.cause == agent.cause
        assert told.received_at is not None
        assert told.received_at >= (told.ended_at or 0)


def test_reports_arrive_in_the_order_in_which_things_happened(
    relay: RelayServer, make_member: Member
) -> None:
    host = make_member("a")
    relay.kill()
    agents = [host.spawn("true") for _ in range(5)]
    for agent in agents:
        host.ended(agent.id)
    relay.start()
    until(lambda: len(relay.agents("ended")) == 5, "all reports")
    seen: dict[str, list[Event]] = {agent.id: [] for agent in agents}
    with relay.client() as client, client.stream(
        endpoints.EVENTS, query=EventsQuery(after=0), read_timeout_s=60
    ) as response:  # fmt: skip
        for line in response.iter_lines():
            if line.startswith("data: "):
                event = decode(line[6:].encode(), Event)
                if event.agent_id in seen:
                    seen[event.agent_id].append(event)
            if all(events and events[-1].type == "agent.ended" for events in seen.values()):
                break
    for events in seen.values():
        assert [event.at for event in events] == sorted(event.at for event in events)
        assert events[-1].type == "agent.ended"
        assert all(event.received_at >= event.at for event in events)


def test_the_relay_and_the_host_killed_at_once(relay: RelayServer, make_member: Member) -> None:
    host = make_member("a")
    agents = [relay.spawn(*agent_argv("sleep"), orchestrator_id="a") for _ in range(5)]
    before = {agent.id: relay.get(agent.id, "running").pid for agent in agents}
    relay.kill()
    host.kill()
    assert all(is_running(pid or 0) for pid in before.values())
    relay.start()
    host.start()
    until(
        lambda: all(agent.presence is Presence.LIVE for agent in relay.agents().values()),
        "the host to be back",
    )
    assert {agent.id: agent.pid for agent in relay.agents().values()} == before
    for agent_id in before:
        assert relay.stop(agent_id).status is Status.CANCELLED


def test_the_same_key_through_the_relay_is_one_agent(relay: RelayServer, make_member: Member) -> None:
    make_member("a")
    request = SpawnRequest(argv=["sleep", "600"], orchestrator_id="a", idempotency_key="k")
    with relay.client() as client:
        first = client.call(endpoints.SPAWN, request)
        relay.get(first.agent.id, "running")
        relay.kill()
        relay.start()
        again = client.call(endpoints.SPAWN, request)
    assert (first.created, again.created) == (True, False)
    assert first.agent.id == again.agent.id
