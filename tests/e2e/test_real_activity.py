"""What claude's own hooks and its screen tell a daemon of a session in a terminal, against a stub model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import until
from running import Host
from stub_fixtures import StubModel

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode
from relay.wire.terminal import SendRequest

SLOW_S = 60.0


@pytest.fixture
def host(model: StubModel, home: Path, tmp_path: Path, make_host: Callable[..., Host]) -> Host:
    found = make_host("host", MUSTER_POLICY_TRUST=str(tmp_path), **model.environment(home))
    found.start()
    return found


def becomes(host: Host, agent_id: str, activity: Activity, source: str) -> ManagedAgent:
    seen: list[ManagedAgent] = []

    def so() -> bool:
        seen[:] = [host.get(agent_id)]
        return (seen[0].activity, seen[0].activity_source) == (activity, source)

    try:
        until(so, f"{agent_id} to be {activity} by its {source}", SLOW_S)
    except AssertionError:
        raise AssertionError(f"not {activity} by its {source}: {seen}") from None
    return seen[0]


def send(host: Host, agent_id: str, **fields: object) -> None:
    request = SendRequest(wait_ms=60_000, timeout_ms=30_000, **fields)  # type: ignore[arg-type]
    with host.client() as client:
        client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=100)


@pytest.mark.needs("claude")
def test_every_turn_of_a_session_is_told(host: Host, tmp_path: Path) -> None:
    work, made = tmp_path / "work", tmp_path / "made"
    work.mkdir()
    prompt = f"NONCE=one RUN=<<touch {made}>>"

    agent = host.spawn(provider="claude", mode=Mode.EMBEDDED, cwd=str(work), prompt=prompt)
    assert host.get(agent.id, "ready", SLOW_S).ready_at is not None

    asking = becomes(host, agent.id, Activity.BLOCKED, "hook")
    assert [(asked.state, asked.tool) for asked in asking.approvals] == [("pending", "Bash")]
    assert asking.attention is not None and str(made) in asking.attention

    until(lambda: host.get(agent.id).activity is Activity.BLOCKED, "the menu")
    send(host, agent.id, keys=["Enter"], force=True)
    done = becomes(host, agent.id, Activity.IDLE, "hook")
    assert made.exists()
    assert (done.attention, done.tool_calls) == (None, 1)
    assert done.result is not None and done.result.startswith("PONG one")
    assert done.provider_session_id == agent.provider_session_id is not None

    send(host, agent.id, text="NONCE=two SLOW=60")
    becomes(host, agent.id, Activity.BUSY, "hook")
    send(host, agent.id, keys=["Escape"], force=True)
    becomes(host, agent.id, Activity.IDLE, "screen")  # no hook tells of an interrupted turn

    send(host, agent.id, text="FAIL=400")
    failed = becomes(host, agent.id, Activity.IDLE, "hook")
    assert failed.attention is not None and "API Error" in failed.attention

    ended = host.stop(agent.id)
    assert ended.status == "cancelled"
