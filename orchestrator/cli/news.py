"""What changes among approvals, as it changes: events say that something did, the list says what."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrator.cli.target import Server
from relay.wire.approvals import Approval, ApprovalListQuery, ApprovalState
from relay.wire.client import Unreachable
from relay.wire.endpoints import EVENTS, LIST_APPROVALS
from relay.wire.errors import ApiError, Code
from relay.wire.events import Event, EventType
from relay.wire.queries import EventsQuery

__all__ = ["news"]

QUIET_S = 60.0
"""Four times what a stream is silent at most."""

WAKE = frozenset({EventType.APPROVAL_ASKED, EventType.APPROVAL_SETTLED, EventType.LOG_GAP})
PASSING = frozenset({Code.UNAVAILABLE, Code.TIMEOUT})


def news(server: Server, query: ApprovalListQuery) -> Iterator[Approval]:
    """Return what is pending for `query`, then every approval that is asked or settled, without end.

    A server that goes away and comes back is another occasion to look; nothing is told twice.
    """
    known: dict[str, ApprovalState] = {}
    everything = msgspec.structs.replace(query, state="all", limit=10_000)
    first = True
    while True:
        try:
            with server.client.stream(EVENTS, query=_events(query), read_timeout_s=QUIET_S) as response:
                for event in _starting(response):
                    if event is not None and event.type not in WAKE:
                        continue
                    for approval in server.call(LIST_APPROVALS, query=everything):
                        if known.get(approval.id) == approval.state:
                            continue
                        known[approval.id] = approval.state
                        if not first or approval.state is ApprovalState.PENDING:
                            yield approval
                    first = False
        except Unreachable:
            pass
        except ApiError as error:
            if error.code not in PASSING:
                raise
        server.come_back()


def _events(query: ApprovalListQuery) -> EventsQuery:
    return EventsQuery(agent_id=query.agent_id, orchestrator_id=query.orchestrator_id)


def _starting(response: object) -> Iterator[Event | None]:
    """Return None as soon as the stream is open, for what has been before, then its events."""
    from httpx_sse import EventSource

    yield None
    for sent in EventSource(response).iter_sse():  # type: ignore[arg-type]
        if sent.data:  # httpx-sse makes an event of a comment that comes after one with an id
            yield msgspec.json.decode(sent.data, type=Event)
