"""CLIs whose own interface is known by its screen alone, in a terminal of a host, against a stub model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster_processes import living_with, until
from running import Host
from stub_fixtures import StubModel

from relay.wire import endpoints
from relay.wire.agents import Activity, ManagedAgent, Mode
from relay.wire.terminal import Receipt, ScreenQuery, SendRequest, SendResult

CLIS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("copilot", "opencode", "aider")]
ASKS = {
    "copilot": "NONCE=two RUN=<<touch made>>",
    "opencode": "NONCE=two RUN=<<touch made>>",
    "aider": "NONCE=two SAY=<<Run it:\n\n```bash\ntouch made\n```\n>>SAY",
}
YES = {"copilot": ["Enter"], "opencode": ["Enter"], "aider": ["y", "Enter"]}
SLOW_S = 60.0


@pytest.fixture
def host(model: StubModel, home: Path, tmp_path: Path, make_host: Callable[..., Host]) -> Host:
    config = home / ".copilot" / "config.json"
    config.parent.mkdir()
    config.write_text(
        '// This file is managed automatically.\n{"firstLaunchAt": "2026-01-01T00:00:00.000Z"}\n'
    )
    found = make_host("host", MUSTER_POLICY_TRUST=str(tmp_path), **model.environment(home))
    found.start()
    return found


def becomes(host: Host, agent_id: str, *wanted: Activity) -> ManagedAgent:
    seen: list[ManagedAgent] = []

    def so() -> bool:
        seen[:] = [host.get(agent_id)]
        return seen[0].activity in wanted

    try:
        until(so, f"{agent_id} to be {wanted}", SLOW_S)
    except AssertionError:
        with host.client() as client:
            shown = client.call(endpoints.GET_SCREEN, path={"id": agent_id}, query=ScreenQuery()).content
        raise AssertionError(f"not {wanted} but {seen[0].activity}:\n{shown}") from None
    return seen[0]


def send(host: Host, agent_id: str, **fields: object) -> SendResult:
    request = SendRequest(wait_ms=60_000, timeout_ms=30_000, **fields)  # type: ignore[arg-type]
    with host.client() as client:
        return client.call(endpoints.SEND_TO_AGENT, request, path={"id": agent_id}, timeout_s=100)


@pytest.mark.parametrize("provider", CLIS)
def test_an_agent_is_idle_busy_and_blocked_as_its_screen_shows(
    provider: str, host: Host, model: StubModel, tmp_path: Path
) -> None:
    """No dialog comes first, for the folder is trusted; a stop leaves nothing alive."""
    work = tmp_path / "work"
    work.mkdir()
    mode = {"aider": "open"}.get(provider, "guarded")
    chosen = {"aider": "openai/gpt-4o"}.get(provider)
    agent = host.spawn(
        provider=provider, mode=Mode.EMBEDDED, cwd=str(work), approval_mode=mode, model=chosen,
        size={"rows": 36, "columns": 120},
    )  # fmt: skip
    assert becomes(host, agent.id, Activity.IDLE).activity_source == "screen"

    assert send(host, agent.id, text="NONCE=one SLOW=3").receipt is Receipt.SUBMITTED
    becomes(host, agent.id, Activity.BUSY)
    becomes(host, agent.id, Activity.IDLE)

    assert send(host, agent.id, text=ASKS[provider]).receipt is Receipt.SUBMITTED
    asking = becomes(host, agent.id, Activity.BLOCKED)
    assert asking.attention is not None
    assert not (work / "made").exists()
    send(host, agent.id, keys=YES[provider], force=True)
    until((work / "made").exists, "the command to have run", SLOW_S)

    assert living_with(f"MUSTER_AGENT_ID={agent.id}")
    ended = host.stop(agent.id)
    assert ended.status == "cancelled"
    assert ended.exit is not None
    assert ended.exit.survivors == []
    assert living_with(f"MUSTER_AGENT_ID={agent.id}") == []
