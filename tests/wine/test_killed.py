"""TerminateProcess of the daemon in the middle of a spawn and of a stop, and of a keeper."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from muster_command import Muster, started
from muster_processes import is_running, until

from orchestrator.cli.target import daemon_answers, daemon_client
from relay.wire.agents import ManagedAgent, Status
from relay.wire.endpoints import GET_AGENT, LIST_AGENTS
from relay.wire.ends import CauseKind
from relay.wire.home import Home

pytestmark = [pytest.mark.needs("windows"), pytest.mark.timeout(400)]

SPAWN = {"after_record_created": 0, "after_keeper_started": 1, "after_spawned": 1}
"""Where the daemon dies → how often the program is started, then or by the next daemon."""
CODE = (
    "import os, subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3000)']); "
    "open(sys.argv[1], 'a').write(f'{os.getpid()} {child.pid}\\n'); "
    "time.sleep(3000)"
)


def up(muster: Muster, point: str) -> None:
    muster.variables["MUSTER_FAILPOINT"] = point
    started(muster, "up", "--detach")


def die_at(muster: Muster, home: Home, *words: str) -> None:
    """Ask for what the daemon is to die of."""
    asking = muster.start(*words)
    until(lambda: asking.poll() is not None or not daemon_answers(home), "the daemon's end")
    until(lambda: not daemon_answers(home), "the daemon's end")
    asking.kill()
    asking.communicate()


def known(home: Home, agent_id: str) -> ManagedAgent:
    with contextlib.closing(daemon_client(home)) as client:
        return client.call(GET_AGENT, path={"id": agent_id})


def programs(marks: Path) -> list[list[int]]:
    """Of each start the program's pid and its child's."""
    return [[int(pid) for pid in line.split()] for line in marks.read_text().splitlines()]


def test_no_agent_is_lost_started_twice_or_left_behind(muster: Muster, home: Home, tmp_path: Path) -> None:
    for point in SPAWN:
        up(muster, point)
        die_at(muster, home, "spawn", "--no-start", "--", sys.executable, "-c", CODE, str(tmp_path / point))

    up(muster, "after_stop_recorded")
    with contextlib.closing(daemon_client(home)) as client:
        agents = sorted(client.call(LIST_AGENTS), key=lambda agent: agent.created_at)
    assert len(agents) == len(SPAWN)
    never, first, second = agents
    assert known(home, never.id).status is Status.FAILED
    assert not (tmp_path / "after_record_created").exists()
    trees = []
    for agent, marks in ((first, tmp_path / "after_keeper_started"), (second, tmp_path / "after_spawned")):
        until(lambda marks=marks: marks.exists() and bool(programs(marks)), "the program")  # type: ignore[misc]
        until(lambda agent=agent: known(home, agent.id).status is Status.RUNNING, "it to be known")  # type: ignore[misc]
        (tree,) = programs(marks)
        assert known(home, agent.id).pid == tree[0]
        trees.append(tree)

    die_at(muster, home, "stop", first.id)
    up(muster, "")
    until(lambda: known(home, first.id).ended, "the stop")
    assert known(home, first.id).status is Status.CANCELLED
    until(lambda: not any(map(is_running, trees[0])), "the tree of the stopped one to end")

    assert all(map(is_running, trees[1]))
    keeper = json.loads(Path(home.agents, second.id, "child.json").read_text())["keeperPid"]
    os.kill(keeper, 9)
    until(lambda: known(home, second.id).ended, "the end of the agent whose keeper was killed")
    cause = known(home, second.id).cause
    assert cause is not None
    assert cause.kind is CauseKind.KEEPER_KILLED
    until(lambda: not any(map(is_running, trees[1])), "its job to end with it")
    assert [len(programs(tmp_path / point)) for point in SPAWN if SPAWN[point]] == [1, 1]
