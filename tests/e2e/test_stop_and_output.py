"""The two things every peer gets wrong: ending the whole tree, and output that is large or held open."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import psutil
import pytest
from muster_command import Muster
from muster_processes import agent_argv, is_running, until
from running import Host


@pytest.fixture
def host(shared_host: Host) -> Host:
    """One for all tests here."""
    return shared_host


@pytest.fixture
def muster(host: Host) -> Muster:
    return Muster(host.home)


def test_stop_ends_what_hides_and_says_what_it_did(host: Host, muster: Muster) -> None:
    steps = (
        "ignore-term",
        "ignore-int",
        "setsid-child",
        "daemon-child",
        "group-child",
        "print:ready",
        "sleep",
    )
    agent = host.spawn(*agent_argv(*steps))
    until(lambda: b"ready" in host.output(agent.id), "the tree to be up")
    children = [int(pid) for pid in re.findall(rb"child (\d+)", host.output(agent.id))]
    assert len(children) == 3
    said = muster("stop", "--grace", "0.2", agent.id)
    assert said.code == 0
    assert "kill" in said.out.decode()
    assert not [pid for pid in [agent.pid or 0, *children] if is_running(pid)]
    ended = host.get(agent.id)
    assert ended.exit is not None
    assert (ended.status, ended.exit.stage, ended.exit.survivors) == ("cancelled", "kill", [])
    assert {int(name.split()[0]) for name in ended.exit.killed} >= {agent.pid, *children}


def test_what_an_agent_leaves_behind_is_ended_and_named(host: Host) -> None:
    agent = host.spawn(*agent_argv("quiet-child", "exit:0"))
    ended = host.ended(agent.id)
    assert ended.status == "succeeded"
    child = int(re.findall(rb"child (\d+)", host.output(agent.id))[0])
    assert ended.exit is not None
    assert [int(name.split()[0]) for name in ended.exit.leftovers] == [child]
    assert not is_running(child)


def test_a_grandchild_that_holds_the_output_does_not_hold_up_the_verdict(host: Host) -> None:
    agent = host.spawn(*agent_argv("start-child", "print:bye", "exit:4"))
    ended = host.ended(agent.id)
    assert ended.cause is not None
    assert ended.cause.exit_code == 4
    assert host.output(agent.id).endswith(b"bye\n")


def test_two_hundred_megabytes_go_through_run_whole_and_cost_the_daemon_little(
    host: Host, muster: Muster, tmp_path: Path
) -> None:
    size = 200_000_000
    before = psutil.Process(host.pid).memory_info().rss
    target = tmp_path / "out"
    with target.open("wb") as out:
        run = muster.start("run", "--", *agent_argv(f"bytes:{size}"), stdout=out)
        peak = before
        while run.poll() is None:
            peak = max(peak, psutil.Process(host.pid).memory_info().rss)
            psutil.Process(run.pid).cpu_percent(0.05) if run.poll() is None else None
    assert run.returncode == 0
    line = b"0123456789abcde\n" * 4096
    expected = hashlib.sha256()
    for _ in range(size // len(line)):
        expected.update(line)
    expected.update(line[: size % len(line)])
    with target.open("rb") as out:
        assert hashlib.file_digest(out, "sha256").digest() == expected.digest()
    assert peak - before < 60_000_000


def test_ten_megabytes_on_one_line(host: Host, muster: Muster) -> None:
    said = muster("run", "--", *agent_argv("line:10000000"))
    assert said.code == 0
    assert said.out == b"x" * 9_999_999 + b"\n"


def test_two_streams_stay_apart(host: Host, muster: Muster) -> None:
    said = muster("run", "--label", "mixed", "--", *agent_argv("mixed:2000"))
    assert said.out.split() == [b"%d" % number for number in range(0, 2000, 2)]
    assert said.err.split() == [str(number) for number in range(1, 2000, 2)]
    assert sorted(host.output("mixed").split(), key=int) == [b"%d" % number for number in range(2000)]
