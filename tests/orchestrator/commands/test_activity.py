"""What a real daemon sees of agents in a terminal, and how it ends those that do nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from interfaces import claude, screen
from muster_processes import until
from running import Host

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode
from relay.wire.terminal import Receipt, SendRequest

pytestmark = pytest.mark.usefixtures("nothing_left")


def becomes(host: Host, agent_id: str, activity: Activity, source: str = "screen") -> ManagedAgent:
    """The agent as soon as it is shown to do this."""
    seen: list[ManagedAgent] = []

    def so() -> bool:
        seen[:] = [host.get(agent_id)]
        return (seen[0].activity, seen[0].activity_source) == (activity, source)

    until(so, f"{agent_id} to be {activity} by its {source}")
    return seen[0]


def send(host: Host, agent_id: str, text: str) -> None:
    with host.client() as client:
        sent = client.call(
            endpoints.SEND_TO_AGENT, SendRequest(text=text, wait_ms=20_000), path={"id": agent_id}
        )
    assert sent.receipt is Receipt.SUBMITTED


def test_its_screen_tells_that_it_waits_and_then_works(host: Host) -> None:
    agent_id = claude(host, "paste", "works")
    idle = becomes(host, agent_id, Activity.IDLE)
    assert idle.attention is None

    send(host, agent_id, "hello")

    busy = becomes(host, agent_id, Activity.BUSY)
    assert (busy.activity_at or 0) > (idle.activity_at or 0)


def test_an_interface_is_ready_when_it_shows_something_known(host: Host, fifo: Path) -> None:
    agent_id = claude(host, f"await:{fifo}", shows="")

    assert host.get(agent_id, "ready", timeout_s=0.5).ready_at is None
    fifo.open("w").close()

    ready = host.get(agent_id, "ready")
    assert ready.ready_at is not None
    assert ready.ready_at > (ready.started_at or 0)


def test_a_menu_is_an_approval_until_somebody_answers_it_there(host: Host) -> None:
    agent_id = claude(host, "menu")

    asking = becomes(host, agent_id, Activity.BLOCKED)

    assert asking.attention is not None
    assert "Do you want to proceed?" in asking.attention
    assert [(asked.state, asked.channel) for asked in asking.approvals] == [("pending", "screen")]


def test_a_stopped_process_does_nothing_whatever_its_screen_shows(host: Host) -> None:
    agent_id = claude(host, "busy")
    pid = becomes(host, agent_id, Activity.BUSY).pid
    assert pid is not None

    os.kill(pid, signal.SIGSTOP)
    halted = becomes(host, agent_id, Activity.BLOCKED, "process")
    assert halted.attention is not None and "SIGSTOP" in halted.attention

    os.kill(pid, signal.SIGCONT)
    assert becomes(host, agent_id, Activity.BUSY).attention is None


def test_a_new_daemon_still_knows_what_it_does(host: Host) -> None:
    agent_id = claude(host, "menu")
    before = becomes(host, agent_id, Activity.BLOCKED)

    host.kill()
    host.start()

    after = becomes(host, agent_id, Activity.BLOCKED)
    assert after.ready_at == before.ready_at
    assert [asked.id for asked in after.approvals] == [asked.id for asked in before.approvals]
    assert [asked.state for asked in after.approvals] == ["pending"]


def test_who_gives_no_sign_of_work_for_too_long_is_ended(host: Host) -> None:
    quiet = host.spawn("sleep", "1000", idle_timeout_ms=1500)
    waits = host.spawn(
        provider="claude", mode=Mode.EMBEDDED, env={"FAKE_WORDS": "menu"}, idle_timeout_ms=1500
    )

    ended = host.ended(quiet.id)

    assert ended.cause is not None
    assert (ended.status, ended.cause.kind) == ("timeout", "timeout")
    assert "no sign of work for 1.5 s (idleTimeoutMs)" in ended.cause.message
    becomes(host, waits.id, Activity.BLOCKED)
    assert "proceed" in screen(host, waits.id)


def test_who_works_goes_on(host: Host) -> None:
    script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"

    agent = host.spawn("sh", "-c", script, idle_timeout_ms=2000)

    assert host.ended(agent.id).status == "succeeded"


def test_its_hooks_have_a_place_to_leave_what_no_daemon_takes(host: Host) -> None:
    argv = ("sh", "-c", 'touch "$MUSTER_HOOKS" && exit 7')
    agent = host.ended(host.spawn(*argv, mode=Mode.EMBEDDED).id)

    assert agent.cause is not None
    assert agent.cause.exit_code == 7, agent.cause.output_tail
