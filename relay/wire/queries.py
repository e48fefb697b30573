"""The query strings of the endpoints, as structs."""

from __future__ import annotations

from relay.wire.base import Wire

__all__ = ["AgentListQuery", "AgentQuery", "CommandsQuery", "EventsQuery", "OutputQuery"]


class AgentListQuery(Wire, frozen=True, kw_only=True):
    """`status`: `live` (not ended), `ended`, `all`, or names separated by commas. Newest first."""

    status: str = "all"
    orchestrator_id: str | None = None
    provider: str | None = None
    label: str | None = None
    tag: str | None = None
    parent_id: str | None = None
    limit: int = 1000


class AgentQuery(Wire, frozen=True, kw_only=True):
    """`wait` (`running`, `ready` or `ended`) holds the answer back until then, at most `timeoutMs`."""

    wait: str | None = None
    timeout_ms: int = 30_000


class OutputQuery(Wire, frozen=True, kw_only=True):
    """Bytes from absolute `offset`, or the last `tail`; `follow` goes on until the agent has ended.

    With `timed` there are also the frames that say when what follows was written (`TIME`) and which size
    the terminal had from there on (`SIZE`); the first `SIZE` comes before any bytes.
    """

    offset: int = 0
    limit: int | None = None
    tail: int | None = None
    follow: bool = False
    timed: bool = False


class EventsQuery(Wire, frozen=True, kw_only=True):
    """`after` is the id of the last event seen (as `Last-Event-ID`); absent: only what comes now."""

    after: int | None = None
    agent_id: str | None = None
    orchestrator_id: str | None = None


class CommandsQuery(Wire, frozen=True, kw_only=True):
    """The fence of a host that opens its command stream."""

    instance_id: str
    epoch: int
