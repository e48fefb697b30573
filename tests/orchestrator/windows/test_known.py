"""Of several windows the newest that is open is the agent's own, whichever of them goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.agents.record import AgentRecord, KnownWindow, WindowKey
from orchestrator.windows.known import find, is_last, over, windows, with_new
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.windows import Window, WindowState


def made(window_id: str, state: WindowState = WindowState.OPEN) -> KnownWindow:
    return KnownWindow(window=Window(id=window_id, state=state), key=WindowKey(token_hash=window_id))


def after(record: AgentRecord, changes: dict[str, Any]) -> AgentRecord:
    """As the registry does it."""
    fields = changes.pop("record")
    return msgspec.structs.replace(record, **fields).showing(**changes)


def ids(record: AgentRecord) -> list[str]:
    return [known.window.id for known in windows(record)]


@pytest.fixture
def record() -> AgentRecord:
    """An agent with the windows a, b and c."""
    agent = ManagedAgent(
        id="ag-0123456789ab", status=Status.RUNNING, provider="command", mode=Mode.TERMINAL, created_at=5
    )
    found = AgentRecord(agent=agent, directory="/")
    for name in "abc":
        found = after(found, with_new(found, made(name), ()))
    return found


@pytest.mark.parametrize(("gone", "left"), [("a", ["b", "c"]), ("b", ["a", "c"]), ("c", ["a", "b"])])
def test_when_one_goes_the_others_stay_in_their_order(
    record: AgentRecord, gone: str, left: list[str]
) -> None:
    closed = made(gone, WindowState.CLOSED)
    now = after(record, over(record, closed.window, closed.key))
    assert ids(now) == left
    known = find(now, left[-1])
    assert known is not None
    assert (now.agent.window, now.window) == (known.window, known.key)
    assert not is_last(now, left[0])


def test_the_last_one_is_the_agents_own_also_when_it_is_closed(record: AgentRecord) -> None:
    for name in "cab":
        assert is_last(record, name) is (name == "b")
        closed = made(name, WindowState.CLOSED)
        record = after(record, over(record, closed.window, closed.key))
    assert ids(record) == ["b"]
    assert record.agent.window is not None
    assert record.agent.window.state is WindowState.CLOSED


def test_a_try_that_was_given_up_leaves_no_window_though_it_had_reported(record: AgentRecord) -> None:
    again = after(record, with_new(record, made("d", WindowState.OPENING), {"c"}))
    assert ids(again) == ["a", "b", "d"]
    assert not is_last(again, "a"), "one that opens counts"
