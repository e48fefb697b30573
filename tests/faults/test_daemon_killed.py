"""`kill -9` of the daemon: no agent is lost, started twice or shown as what it is not."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from muster_processes import agent_argv, is_running, until, zombies_of
from running import Host

from relay.wire import endpoints
from relay.wire.agents import Presence, SpawnRequest, Status
from relay.wire.client import Unreachable
from relay.wire.orchestrators import Action, ActionRequest

FINISHING, SPEWING, STAYING = 20, 10, 20
LINES = 20_000


def numbered(count: int, gate: Path) -> list[str]:
    """A program that prints numbered lines, and goes on when `gate` is opened."""
    program = (
        f"import sys\nfor n in range({count} // 2): print(n)\nsys.stdout.flush()\n"
        f"open({str(gate)!r}).read()\nfor n in range({count} // 2, {count}): print(n)"
    )
    return ["python3", "-c", program]


def open_gates(gates: list[Path]) -> None:
    for gate in gates:
        with gate.open("w"):
            pass


def test_fifty_agents_outlive_their_daemon(host: Host, tmp_path: Path) -> None:
    gates = [tmp_path / f"gate-{number}" for number in range(FINISHING + SPEWING)]
    for gate in gates:
        os.mkfifo(gate)
    finishing = [
        host.spawn(*agent_argv(f"await:{gate}", f"exit:{number}")).id
        for number, gate in enumerate(gates[:FINISHING])
    ]
    spewing = [host.spawn(*numbered(LINES, gate)).id for gate in gates[FINISHING:]]
    staying = [host.spawn(*agent_argv("print:here", "sleep")) for _ in range(STAYING)]
    for agent_id in spewing:
        until(
            lambda agent_id=agent_id: f"\n{LINES // 2 - 1}\n".encode() in host.output(agent_id), "half of it"
        )

    host.kill()
    open_gates(gates)
    for agent_id in finishing + spewing:
        until(Path(host.home.agents, agent_id, "exit.json").exists, f"the exit record of {agent_id}")
    host.start()

    known = host.agents()
    assert len(known) == 50
    assert [host.ended(agent_id).cause.exit_code for agent_id in finishing] == list(range(FINISHING))  # type: ignore[union-attr]
    for agent_id in spewing:
        assert host.ended(agent_id).status is Status.SUCCEEDED
        assert host.output(agent_id) == b"".join(b"%d\n" % number for number in range(LINES))
    for agent in staying:
        now = host.get(agent.id)
        assert (now.status, now.pid, now.started_at) == (Status.RUNNING, agent.pid, agent.started_at)
        assert now.presence is Presence.LIVE
        assert is_running(now.pid or 0)
    for agent in staying:
        assert host.stop(agent.id).status is Status.CANCELLED
        assert not is_running(agent.pid or 0)


def test_an_exit_is_recorded_with_its_own_time(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    agent = host.spawn(*agent_argv(f"await:{gate}", "exit:7"))
    host.kill()
    open_gates([gate])
    record = Path(host.home.agents, agent.id, "exit.json")
    until(record.exists, "the exit record")
    written = record.stat().st_mtime * 1000
    host.start()
    ended = host.ended(agent.id)
    assert ended.cause is not None
    assert ended.cause.exit_code == 7
    assert ended.ended_at is not None
    assert abs(ended.ended_at - written) < 1000


def test_one_key_twenty_times_in_parallel_with_a_kill_in_between(host: Host, tmp_path: Path) -> None:
    marks = tmp_path / "started"
    request = SpawnRequest(
        argv=["sh", "-c", f"echo $$ >> {marks}; exec sleep 600"], idempotency_key="only-once", label="once"
    )

    def ask(_: int) -> str | None:
        try:
            with host.client() as client:
                return client.call(endpoints.SPAWN, request).agent.id
        except Unreachable:
            return None

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        first = [pool.submit(ask, number) for number in range(10)]
        concurrent.futures.wait(first, return_when=concurrent.futures.FIRST_COMPLETED)
        host.kill()
        host.start()
        second = [pool.submit(ask, number) for number in range(10)]
    answers = {job.result() for job in first + second} - {None}

    assert len(answers) == 1
    until(marks.exists, "the program")
    assert host.get("once", "running").id in answers
    assert len(marks.read_text().split()) == 1
    assert len(host.agents()) == 1


def test_a_stop_that_had_begun_is_finished_by_the_next_daemon(make_host: Callable[..., Host]) -> None:
    host = make_host()
    host.start(MUSTER_FAILPOINT="after_stop_recorded")
    agent = host.spawn(*agent_argv("ignore-int", "print:up", "sleep"))
    with pytest.raises(Unreachable):
        host.stop(agent.id, grace_ms=100)
    assert host.died() == -signal.SIGKILL
    assert is_running(agent.pid or 0)
    host.start()
    ended = host.ended(agent.id)
    assert ended.status is Status.CANCELLED
    assert ended.cause is not None
    assert ended.cause.by == "local"
    assert not is_running(agent.pid or 0)


slow = partial(pytest.param, marks=pytest.mark.slow)
POINTS = [
    "after_record_created", slow("after_spec_written"), "after_keeper_started", slow("before_claim"),
    slow("after_claim"), "after_exec", slow("after_child_written"), slow("after_spawned"),
    "after_running_recorded", slow("after_exit_seen"), "after_exit_written", slow("after_exit_read"),
    "after_exit_recorded",
]  # fmt: skip
"""By default one of each state that a daemon can leave behind."""


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_two_steps_there_is_one_process_at_most_and_one_verdict(
    point: str, make_host: Callable[..., Host], tmp_path: Path
) -> None:
    marks = tmp_path / "started"
    host = make_host()
    host.start(MUSTER_FAILPOINT=point)
    request = SpawnRequest(argv=["sh", "-c", f"echo $$ >> {marks}; exit 5"], idempotency_key="k")
    try:
        with host.client() as client:
            agent_id = client.call(endpoints.SPAWN, request).agent.id
            host.ended(agent_id)
    except Unreachable:
        assert host.died() == -signal.SIGKILL
    else:
        assert not point.startswith(("after_record", "after_spec")), "the point was never passed"
    if host.process is not None and host.process.poll() is None:
        host.kill()
    host.start()
    agents = list(host.agents().values())
    assert len(agents) == 1
    ended = host.ended(agents[0].id)
    assert ended.status in (Status.FAILED, Status.LOST)
    assert ended.cause is not None
    started = marks.read_text().split() if marks.exists() else []
    assert len(started) <= 1
    if ended.cause.exit_code is not None:
        assert (ended.cause.exit_code, len(started)) == (5, 1)
    with host.client() as client:
        again = client.call(endpoints.SPAWN, request)
    assert (again.created, again.agent.id) == (False, ended.id)
    assert host.ended(ended.id) == ended
    assert not [pid for pid in started if is_running(int(pid))]


STOP_POINTS = [
    "after_stop_recorded", "after_stop_began", slow("after_exit_seen"), "after_exit_written",
    slow("after_exit_read"), slow("after_exit_recorded"),
]  # fmt: skip


@pytest.mark.parametrize("point", STOP_POINTS)
def test_killed_in_the_middle_of_a_stop_nothing_lives_and_the_verdict_is_one(
    point: str, make_host: Callable[..., Host]
) -> None:
    host = make_host()
    host.start(MUSTER_FAILPOINT=point)
    agent = host.spawn(*agent_argv("setsid-child", "ignore-int", "ignore-term", "print:ready", "sleep"))
    until(lambda: b"ready" in host.output(agent.id), "the tree to be up")
    child = int(re.findall(rb"child (\d+)", host.output(agent.id))[0])
    with contextlib.suppress(Unreachable):
        host.stop(agent.id, grace_ms=100)
    if host.process is not None and host.process.poll() is None:
        host.kill()
    host.start()
    ended = host.ended(agent.id)
    assert ended.status is Status.CANCELLED
    assert ended.cause is not None
    assert ended.cause.by == "local"
    assert not [pid for pid in (agent.pid or 0, child) if is_running(pid)]
    host.kill()
    host.start()
    assert host.ended(agent.id) == ended


def test_nothing_is_left_of_a_keeper_that_was_killed(host: Host) -> None:
    agent = host.spawn(*agent_argv("setsid-child", "print:ready", "sleep"))
    until(lambda: b"ready" in host.output(agent.id), "the agent to be ready")
    child = int(re.findall(rb"child (\d+)", host.output(agent.id))[0])
    keeper = int(Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    ended = host.ended(agent.id)
    assert ended.cause is not None
    assert (ended.status, ended.cause.kind) == (Status.LOST, "keeper_killed")
    assert not is_running(agent.pid or 0)
    assert not is_running(child)


def test_agents_whose_database_is_gone_are_found_again(host: Host) -> None:
    agent = host.spawn(*agent_argv("print:hi", "sleep"))
    host.kill()
    for name in ("host.db", "host.db-wal", "host.db-shm"):
        Path(host.directory, name).unlink(missing_ok=True)
    host.start()
    found = host.get(agent.id)
    assert (found.status, found.pid) == (Status.RUNNING, agent.pid)
    assert host.stop(agent.id).status is Status.CANCELLED


def test_a_second_daemon_does_not_start(host: Host, make_host: Callable[..., Host]) -> None:
    second = Host(host.directory)
    second.start(wait=False)
    assert second.died() == 1
    assert f"pid {host.pid}" in second.log.read_text()
    assert host.answers()


def test_restarted_in_place_it_keeps_its_agents_and_leaves_no_zombie(host: Host) -> None:
    running = host.spawn(*agent_argv("sleep"))
    started = host.home.read_record(host.home.host_record)
    with host.client() as client:
        client.call(endpoints.ACT, ActionRequest(action=Action.RESTART), path={"id": socket.gethostname()})
    until(lambda: host.home.read_record(host.home.host_record) is None, "the old one to end")
    until(lambda: host.home.read_record(host.home.host_record) == started, "the new one, with the same pid")
    assert host.get(running.id).status is Status.RUNNING
    assert host.stop(running.id).status is Status.CANCELLED
    until(lambda: not zombies_of(host.pid), "its keeper to be collected")


def test_a_host_keeps_the_id_it_was_given(make_host: Callable[..., Host]) -> None:
    host = make_host("host", "--id", "build-7")
    host.start()
    agent = host.spawn(*agent_argv("sleep"))
    host.kill()
    host.options = ()
    host.start()
    with host.client() as client:
        assert client.call(endpoints.HEALTH).id == "build-7"
    assert host.get(agent.id).orchestrator_id == "build-7"


def test_ending_the_daemon_leaves_its_agents(host: Host) -> None:
    agents = [host.spawn(*agent_argv("sleep")) for _ in range(3)]
    assert host.end() == 0
    assert all(is_running(agent.pid or 0) for agent in agents)
    host.start()
    assert Counter(agent.status for agent in host.agents().values()) == {Status.RUNNING: 3}
