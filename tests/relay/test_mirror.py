"""What a host's word changes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from scripted_host import agent

from relay.core.mirror import merge, shown
from relay.core.records import AgentRecord, HostRecord
from relay.wire.agents import Presence, Status
from relay.wire.events import EventType
from relay.wire.orchestrators import Registration

NOW = 1_000_000


def known(status: Status, updated_at: int = 100, **facts: object) -> AgentRecord:
    said = agent("ag-1", status, updated_at=updated_at, orchestrator_id="h1", **facts)
    return AgentRecord(said, 50, confirmed=True, ended_at=NOW if said.ended else None)


def host(online: bool) -> HostRecord:
    facts = Registration(id="h1", hostname="h1", instance_id="i", state_id="s")
    return HostRecord(facts, 1, online, False, changed_at=200_000, last_seen=1, created_at=1)


def test_an_agent_that_the_relay_never_heard_of_is_taken_in() -> None:
    merged = merge(None, agent("ag-1"), "h1", NOW)
    assert merged.event is EventType.AGENT_CHANGED
    assert merged.record is not None
    assert (merged.record.host_id, merged.record.confirmed, merged.record.agent.received_at) == (
        "h1",
        True,
        NOW,
    )


def test_another_hosts_agent_is_refused() -> None:
    merged = merge(known(Status.RUNNING), agent("ag-1"), "h2", NOW)
    assert merged.record is None
    assert merged.refused == "agent ag-1 belongs to host h1, not to h2"


@pytest.mark.parametrize("first", [Status.CANCELLED, Status.SUCCEEDED, Status.REJECTED, Status.TIMEOUT])
@pytest.mark.parametrize("later", [Status.FAILED, Status.RUNNING, Status.LOST])
def test_an_ending_stands(first: Status, later: Status) -> None:
    assert merge(known(first), agent("ag-1", later), "h1", NOW).record is None


def test_the_true_exit_may_be_added_to_an_ending() -> None:
    merged = merge(known(Status.CANCELLED), agent("ag-1", Status.CANCELLED, result="late"), "h1", NOW)
    assert merged.record is not None
    assert merged.record.agent.result == "late"


@pytest.mark.parametrize(("later", "ended"), [(Status.RUNNING, False), (Status.SUCCEEDED, True)])
def test_lost_yields_to_evidence(later: Status, ended: bool) -> None:
    merged = merge(known(Status.LOST, 500), agent("ag-1", later, updated_at=400), "h1", NOW)
    assert merged.event is EventType.AGENT_FOUND
    assert merged.record is not None
    assert (merged.record.agent.status, merged.record.ended_at is not None) == (later, ended)


def test_older_word_is_an_event_but_changes_nothing() -> None:
    merged = merge(known(Status.RUNNING, 200), agent("ag-1", Status.STARTING, updated_at=100), "h1", NOW)
    assert merged.record is None
    assert merged.event is EventType.AGENT_CHANGED


def test_a_host_whose_clock_was_set_back_is_still_heard() -> None:
    for later in (Status.STOPPING, Status.FAILED):
        merged = merge(known(Status.RUNNING, 200), agent("ag-1", later, updated_at=100), "h1", NOW)
        assert merged.record is not None
        assert merged.record.agent.status is later


def test_presence_is_that_of_the_host() -> None:
    running = known(Status.RUNNING)
    assert (shown(running, host(True)).presence, shown(running, host(True)).presence_since) == (
        Presence.LIVE,
        200_000,
    )
    away = shown(running, host(False))
    assert (away.presence, away.presence_since, away.status) == (Presence.UNKNOWN, 200_000, Status.RUNNING)
    assert shown(known(Status.FAILED), host(False)).presence is Presence.NONE


def test_a_spawn_that_was_never_sent_has_no_presence_and_one_that_was_may_run() -> None:
    waiting = replace(known(Status.QUEUED), confirmed=False)
    assert shown(waiting, host(False)).presence is Presence.NONE
    sent = replace(waiting, delivered_at=100_000)
    away = shown(sent, host(False))
    assert away.presence is Presence.UNKNOWN
    assert away.reason == (
        "sent to h1 at 1970-01-01 00:01:40Z, not confirmed yet; h1 is offline since 1970-01-01 00:03:20Z"
    )
    assert shown(sent, host(True)).presence is Presence.NONE


def test_what_only_the_relay_knows_of_the_request_is_kept() -> None:
    asked = replace(known(Status.QUEUED, label="mine", requested_by="me"), confirmed=False)
    merged = merge(asked, msgspec.structs.replace(agent("ag-1"), label=None), "h1", NOW)
    assert merged.record is not None
    assert (merged.record.agent.label, merged.record.agent.requested_by) == ("mine", "me")
