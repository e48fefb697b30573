"""An agent above its memory is ended and says so, where no cgroup sees to it, whatever dies meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from muster_processes import agent_argv, is_running
from running import Host

from relay.wire.agents import CauseKind, ManagedAgent, Status
from relay.wire.errors import ApiError, Code

MIB = 1024 * 1024
LIMIT = 64 * MIB
GREEDY = agent_argv("print:here", "hold:200", "sleep")
CHILDREN = ["sh", "-c", f"for n in 1 2 3; do {' '.join(agent_argv('hold:40', 'sleep'))} & done; wait"]
pytestmark = pytest.mark.needs("linux")


def is_out_of_memory(agent: ManagedAgent) -> bool:
    assert agent.cause is not None
    assert agent.status is Status.FAILED, agent.cause
    assert agent.cause.kind is CauseKind.OOM, agent.cause
    assert "killed for running out of memory: watched: the tree used" in agent.cause.message
    assert "of 64.0 MiB allowed" in agent.cause.message
    assert not is_running(agent.pid or 0)
    return True


@pytest.mark.parametrize("argv", [GREEDY, CHILDREN], ids=["one", "three-together"])
def test_a_tree_above_its_memory_is_ended_with_the_evidence(host: Host, argv: tuple[str, ...]) -> None:
    modest = host.spawn(*agent_argv("print:here", "hold:200", "sleep"), memory_bytes=1024 * MIB)
    free = host.spawn(*agent_argv("print:here", "hold:200", "sleep"))
    agent = host.spawn(*argv, memory_bytes=LIMIT)

    assert agent.memory_bytes == LIMIT
    ended = host.ended(agent.id)
    assert is_out_of_memory(ended)
    assert ended.cause is not None
    assert ended.cause.signal == 9
    assert host.get(modest.id).status is Status.RUNNING
    assert host.get(free.id).status is Status.RUNNING


def test_the_verdict_survives_a_daemon_that_dies_before_the_kill(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.start(MUSTER_FAILPOINT="after_stop_recorded")
    agent = host.spawn(*GREEDY, memory_bytes=LIMIT)
    host.died()
    assert is_running(agent.pid or 0)
    host.start()

    assert is_out_of_memory(host.ended(agent.id))


def test_the_verdict_survives_a_daemon_that_dies_before_it_is_written(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.start(MUSTER_FAILPOINT="after_exit_read")
    agent = host.spawn(*GREEDY, memory_bytes=LIMIT)
    host.died()
    host.start()

    assert is_out_of_memory(host.ended(agent.id))


def test_the_verdict_survives_a_keeper_that_dies_over_the_kill(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.start(MUSTER_FAILPOINT="after_stop_began")
    agent = host.spawn(*GREEDY, memory_bytes=LIMIT)

    ended = host.ended(agent.id)
    assert is_out_of_memory(ended)
    assert ended.cause is not None
    assert "keeper" in ended.cause.message


def test_a_person_who_stops_it_first_is_the_cause(host: Host) -> None:
    agent = host.spawn(
        *agent_argv("ignore-int", "ignore-term", "print:up", "hold:200", "sleep"), memory_bytes=LIMIT
    )
    stopped = host.stop(agent.id, grace_ms=30_000)

    assert stopped.cause is not None
    assert stopped.status in (Status.CANCELLED, Status.FAILED)
    if stopped.status is Status.FAILED:  # it was above its limit before the stop arrived
        assert is_out_of_memory(stopped)
    else:
        assert stopped.cause.by


def test_the_policy_limits_those_without_and_refuses_those_with_more(make_host: Callable[..., Host]) -> None:
    host = make_host(MUSTER_POLICY_MEMORY_MAX=str(LIMIT), MUSTER_POLICY_CPUS_MAX="1")
    host.start()
    agent = host.spawn(*GREEDY)
    assert (agent.memory_bytes, agent.cpus) == (LIMIT, 1.0)
    assert is_out_of_memory(host.ended(agent.id))
    for fields, rule in (({"memory_bytes": LIMIT + 1}, "memory_max"), ({"cpus": 1.5}, "cpus_max")):
        with pytest.raises(ApiError) as refused:
            host.spawn("true", **fields)
        assert refused.value.code is Code.POLICY_REFUSED
        assert refused.value.details["rule"] == f"policy.{rule}"


def test_cpus_confine_the_program_and_what_it_starts(host: Host) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU cannot be divided")
    show = "import os; print(len(os.sched_getaffinity(0)))"
    agent = host.spawn("python3", "-c", show, cpus=0.5)
    all_of_them = host.spawn("python3", "-c", show, cpus=64)
    unlimited = host.spawn("python3", "-c", show)
    for one in (agent, all_of_them, unlimited):
        assert host.ended(one.id).status is Status.SUCCEEDED
    usable = b"%d\n" % len(os.sched_getaffinity(0))
    assert [host.output(one.id) for one in (agent, all_of_them, unlimited)] == [b"1\n", usable, usable]


@pytest.mark.parametrize("fields", [{"cpus": 0.001}, {"cpus": -1.0}, {"memory_bytes": 1000}])
def test_a_limit_that_makes_no_sense_is_refused_before_anything_runs(
    host: Host, fields: dict[str, float]
) -> None:
    with pytest.raises(ApiError) as refused:
        host.spawn("true", **fields)
    assert refused.value.code is Code.INVALID
    assert host.agents() == {}
