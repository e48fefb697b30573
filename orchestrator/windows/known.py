"""Which windows a record knows: the agent's own, and those beside it. Pure.

The agent's own is the newest that is open or opening; if there is none, the one it had last. What changes
that is returned as the arguments of `Registry.change`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from orchestrator.agents.record import AgentRecord, KnownWindow, WindowKey
from relay.wire.windows import Window, WindowState

__all__ = ["changed", "find", "is_last", "over", "windows", "with_new"]


def windows(record: AgentRecord) -> Iterator[KnownWindow]:
    """Yield them, the agent's own last."""
    yield from record.beside
    if record.agent.window is not None and record.window is not None:
        yield KnownWindow(window=record.agent.window, key=record.window)


def find(record: AgentRecord, window_id: str) -> KnownWindow | None:
    return next((known for known in windows(record) if known.window.id == window_id), None)


def is_last(record: AgentRecord, window_id: str) -> bool:
    """Whether no other window is open, or opening."""
    others = (known.window for known in windows(record) if known.window.id != window_id)
    return not any(other.is_open or other.state is WindowState.OPENING for other in others)


def with_new(record: AgentRecord, new: KnownWindow, given_up: Container[str]) -> dict[str, Any]:
    """`new` is the agent's own. The one that was stays beside it if it is open, and was not `given_up`."""
    beside = record.beside
    own = record.agent.window
    if own is not None and own.is_open and record.window is not None and own.id not in given_up:
        beside += (KnownWindow(window=own, key=record.window),)
    return {"record": {"window": new.key, "beside": beside}, "window": new.window}


def changed(record: AgentRecord, new: KnownWindow) -> dict[str, Any]:
    """`new` is what is known of the window of its id now."""
    beside = tuple(new if known.window.id == new.window.id else known for known in record.beside)
    if record.agent.window is None or record.agent.window.id != new.window.id:
        return {"record": {"beside": beside}}
    return {"record": {"window": new.key}, "window": new.window}


def over(record: AgentRecord, window: Window, key: WindowKey | None) -> dict[str, Any]:
    """`window` is not there any more. If it was the agent's own, the newest of the others is."""
    beside = tuple(known for known in record.beside if known.window.id != window.id)
    if len(beside) < len(record.beside):
        return {"record": {"beside": beside}}
    if beside:
        own = beside[-1]
        return {"record": {"window": own.key, "beside": beside[:-1]}, "window": own.window}
    return {"record": {"window": key}, "window": window}
