"""`kill -9` of the daemon in a conversation: what was said stays said, once, and the rest is said later."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import speaking
from muster_processes import until
from running import Host

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Status
from relay.wire.client import Unreachable
from relay.wire.errors import ApiError
from relay.wire.steering import StopRequest
from relay.wire.terminal import SendRequest

KILLS = 5


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return speaking.install(tmp_path / "bin")


@pytest.fixture
def host(make_host: Callable[..., Host], ledger: Path) -> Host:
    return make_host(PATH=f"{ledger.parent}{os.pathsep}{os.environ['PATH']}")


def told(ledger: Path, kind: str) -> list[Any]:
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [words[1] for words in entries if words[0] == kind]


def begin(host: Host, tmp_path: Path) -> ManagedAgent:
    return host.spawn(provider="claude", conversation=True, prompt="hello", cwd=str(tmp_path), label="talk")


def send(host: Host, text: str) -> None:
    with host.client() as client:
        client.call(endpoints.SEND_TO_AGENT, SendRequest(text=text), path={"id": "talk"})


def idle(host: Host, after: str) -> ManagedAgent:
    def quiet() -> bool:
        now = host.get("talk")
        return now.activity is Activity.IDLE and now.result == f"heard {after}"

    until(quiet, f"the answer to {after!r}")
    return host.get("talk")


def finish(host: Host) -> ManagedAgent:
    with host.client() as client:
        client.call(endpoints.STOP_AGENT, StopRequest(finish=True), path={"id": "talk"})
    return host.ended("talk")


@pytest.mark.parametrize(
    ("point", "said"),
    [("before_words_recorded", []), ("after_words_recorded", ["word"]), ("after_words_said", ["word"])],
)
def test_killed_around_a_message_it_is_said_once_or_not_at_all(
    host: Host, ledger: Path, tmp_path: Path, point: str, said: list[str]
) -> None:
    if point == "after_words_said":  # also that of the prompt, so there is nothing in front of it
        host.start(MUSTER_FAILPOINT=point)
        with contextlib.suppress(Unreachable):  # it may have been answered just before
            host.spawn(provider="claude", conversation=True, prompt="word", cwd=str(tmp_path), label="talk")
    else:
        host.start()
        begin(host, tmp_path)
        idle(host, "hello")
        host.kill()
        host.start(MUSTER_FAILPOINT=point)
        with pytest.raises(Unreachable):
            send(host, "word")
        said = ["hello", *said]
    assert host.died() == -signal.SIGKILL

    host.start()
    idle(host, said[-1])
    send(host, "next")
    ended = finish(host)

    assert told(ledger, "said") == [*said, "next"]
    assert (ended.status, ended.result) == (Status.SUCCEEDED, "heard next")
    assert len(told(ledger, "start")) == 1


def test_killed_at_any_time_nothing_is_said_twice_and_nothing_acknowledged_is_lost(
    host: Host, ledger: Path, tmp_path: Path
) -> None:
    host.start()
    begin(host, tmp_path)
    chance = random.Random(7)
    sent, acknowledged = ["hello"], ["hello"]
    for number in range(KILLS):
        text = f"word-{number}"
        sent.append(text)
        with contextlib.suppress(Unreachable, ApiError):
            send(host, text)
            acknowledged.append(text)
        if chance.random() < 0.5:
            until(lambda text=text: text in told(ledger, "said"), "it to be said")
        host.kill()
        host.start()
    ended = finish(host)

    said = told(ledger, "said")
    assert [text for text in sent if text in said] == said
    assert set(acknowledged) <= set(said)
    assert (ended.status, ended.result) == (Status.SUCCEEDED, f"heard {said[-1]}")
    assert len(told(ledger, "start")) == 1


slow = partial(pytest.param, marks=pytest.mark.slow)
POINTS = [
    slow("after_exit_read"), "after_exit_recorded", slow("after_request_kept"), "after_record_created",
    slow("after_spawned"), "after_successor_started",
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_of_a_restart_there_is_one_successor(
    make_host: Callable[..., Host], tmp_path: Path, point: str
) -> None:
    marks, gate = tmp_path / "marks", tmp_path / "gate"
    os.mkfifo(gate)
    host = make_host()
    host.start()
    program = f"echo x >> {marks}; if [ $(wc -l < {marks}) = 1 ]; then read x < {gate}; exit 1; fi"
    first = host.spawn("sh", "-c", program, restart="on-failure", label="worker")
    until(marks.exists, "the program")
    host.kill()
    host.start(MUSTER_FAILPOINT=point)
    gate.write_text("go\n")
    assert host.died() == -signal.SIGKILL
    host.start()

    def settled() -> bool:
        return host.get("worker").status is Status.SUCCEEDED

    until(settled, "the last of the row")
    chain = [host.get(first.id)]
    while chain[-1].restarted_as is not None:
        chain.append(host.get(chain[-1].restarted_as))
    assert {agent.id for agent in chain} == set(host.agents())
    assert marks.read_text().split() == ["x", "x"]
    assert [agent.restarts for agent in chain] == list(range(len(chain)))
    assert len(chain) == 2 or point == "after_record_created"


def test_after_its_keeper_is_gone_an_agent_with_a_policy_is_started_again(
    host: Host, ledger: Path, tmp_path: Path
) -> None:
    host.start()
    first = host.spawn(
        provider="claude",
        conversation=True,
        prompt="hello",
        cwd=str(tmp_path),
        label="talk",
        restart="always",
    )
    idle(host, "hello")
    keeper = int(Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[1])
    host.kill()
    os.kill(keeper, signal.SIGKILL)
    host.start()

    until(lambda: host.get(first.id).restarted_as, "the successor")
    send(host, "are you there?")
    idle(host, "are you there?")

    assert host.get(first.id).status is Status.LOST
    assert told(ledger, "said") == ["hello", "are you there?"]  # it had nothing to do when it was lost
    assert len(set(told(ledger, "start"))) == 1
    finish(host)
    until(lambda: host.get(host.get(first.id).restarted_as or "").restart_at, "the next to be decided on")
    host.stop(host.get(first.id).restarted_as or "")
