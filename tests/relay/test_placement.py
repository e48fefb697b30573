"""Which host takes a spawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.core.leases import Lease
from relay.core.placement import place
from relay.core.records import HostRecord
from relay.wire.agents import Placement, SpawnRequest
from relay.wire.orchestrators import Load, ProviderInfo, Registration

COMMAND = SpawnRequest(argv=["true"])
CLAUDE = SpawnRequest(provider="claude", prompt="hi")


def host(
    id_: str,
    running: int = 0,
    max_agents: int = 4,
    average: float = 0.0,
    labels: dict[str, str] | None = None,
) -> Lease:
    facts = Registration(
        id=id_,
        hostname=id_,
        instance_id="i",
        state_id="s",
        labels=labels or {},
        max_agents=max_agents,
        capabilities=[ProviderInfo(name="codex", path="/bin/codex"), ProviderInfo(name="gemini")],
    )
    load = Load(running=running, cpus=2, load_average=average)
    return Lease(HostRecord(facts, 1, True, False, 1_000_000, 0, 0, load=load), 0.0)


def offline(lease: Lease) -> Lease:
    lease.record = replace(lease.record, online=False)
    return lease


def draining(lease: Lease) -> Lease:
    lease.record = replace(lease.record, draining=True)
    return lease


def test_the_least_loaded_host_takes_it() -> None:
    assert place(COMMAND, [host("a", 2, 4), host("b", 2, 8), host("c", 3, 4)]).host_id == "b"


def test_at_the_same_share_the_load_average_decides_then_the_id() -> None:
    assert place(COMMAND, [host("a", 1, average=1.0), host("b", 1, average=0.5)]).host_id == "b"
    assert place(COMMAND, [host("b", 1), host("a", 1)]).host_id == "a"


def test_hosts_without_a_limit_share_by_number() -> None:
    assert place(COMMAND, [host("a", 2, 0), host("b", 1, 0)]).host_id == "b"


def test_a_host_that_is_offline_draining_or_full_is_passed_over_and_named() -> None:
    hosts = [offline(host("a")), draining(host("b")), host("c", 4, 4)]
    choice = place(COMMAND, hosts)
    assert choice.host_id is None
    assert choice.reason == (
        "no host can take it now: a is offline since 1970-01-01 00:16:40Z; b is draining; "
        "c is full (4 of 4 agents)"
    )
    assert place(COMMAND, [*hosts, host("z", 3, 4)]).host_id == "z"


def test_a_provider_must_be_installed_and_not_only_known() -> None:
    assert place(SpawnRequest(provider="codex", prompt="hi"), [host("a")]).host_id == "a"
    assert place(SpawnRequest(provider="gemini", prompt="hi"), [host("a")]).host_id is None
    reason = place(CLAUDE, [host("a"), host("b")]).reason
    assert reason == "no known host has the provider claude installed (looked at: a, b)"


def test_every_label_must_match() -> None:
    wanted = SpawnRequest(argv=["true"], placement=Placement(labels={"gpu": "yes", "zone": "x"}))
    half, whole = host("a", labels={"gpu": "yes"}), host("b", 3, labels={"gpu": "yes", "zone": "x", "n": "1"})
    assert place(wanted, [half, whole]).host_id == "b"
    assert place(wanted, [half]).reason == "no known host has the labels gpu=yes, zone=x"


def test_a_named_host_decides_about_its_providers_itself() -> None:
    named = SpawnRequest(provider="claude", prompt="hi", orchestrator_id="a")
    assert place(named, [host("a"), host("b")]).host_id == "a"


def test_a_named_host_is_waited_for_and_never_replaced() -> None:
    named = SpawnRequest(argv=["true"], orchestrator_id="a")
    assert "waits for host a, which is offline" in (
        place(named, [offline(host("a")), host("b")]).reason or ""
    )
    assert "is draining" in (place(named, [draining(host("a")), host("b")]).reason or "")
    assert "is full" in (place(named, [host("a", 4, 4), host("b")]).reason or "")
    assert "not known any more" in (place(named, [host("b")]).reason or "")


def test_without_hosts_it_says_so() -> None:
    assert place(COMMAND, []).reason == "no host has registered yet"


def test_a_burst_spreads_before_any_heartbeat_tells_of_it() -> None:
    hosts = [host("a", max_agents=10), host("b", max_agents=10)]
    for number in range(20):
        chosen = place(COMMAND, hosts).host_id
        next(lease for lease in hosts if lease.record.id == chosen).placed[f"ag-{number}"] = False
    assert [lease.running for lease in hosts] == [10, 10]
    assert place(COMMAND, hosts).host_id is None


def test_an_ended_agent_gives_its_place_back_before_the_next_heartbeat() -> None:
    lease = host("a", running=4)
    assert lease.full
    lease.agent_ended("ag-counted-by-the-heartbeat")
    assert not lease.full
    lease.placed["ag-new"] = True
    assert lease.full
    lease.agent_ended("ag-new")
    assert lease.running == 3


def test_an_older_host_is_taken_to_count_what_it_has_acknowledged() -> None:
    lease = host("a", running=2)
    lease.placed.update({"ag-acknowledged": True, "ag-on-its-way": False})
    lease.agent_ended("ag-counted-by-the-heartbeat")
    assert lease.running == 3
    lease.count(None)
    assert list(lease.placed) == ["ag-on-its-way"]
    assert lease.running == 3


@pytest.mark.parametrize("named", [[], ["ag-old"], ["ag-old", "ag-new", "ag-short"], ["ag-new"]])
def test_a_count_from_before_the_last_word_on_an_agent_does_not_undo_it(named: list[str]) -> None:
    lease = host("a")
    lease.count(frozenset({"ag-old"}))
    lease.placed.update({"ag-new": True, "ag-short": True})
    lease.agent_ended("ag-short")
    lease.agent_ended("ag-old")
    assert lease.running == 1
    lease.count(frozenset(named))
    assert lease.running == 1


def test_an_agent_that_came_and_went_between_two_counts_gives_nothing_back() -> None:
    lease = host("a")
    lease.count(frozenset({"ag-1"}))
    lease.agent_ended("ag-started-by-the-host-itself")
    assert lease.running == 1
