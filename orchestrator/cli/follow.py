"""Following an agent: its output by offset and its status, across restarts of whoever is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from orchestrator.cli.output import say
from orchestrator.cli.target import Server
from relay.wire.agents import ManagedAgent, Status
from relay.wire.client import Unreachable
from relay.wire.endpoints import GET_AGENT, READ_OUTPUT
from relay.wire.errors import ApiError, Code
from relay.wire.output import MEDIA_TYPE, Frame, FrameDecoder, Kind
from relay.wire.queries import AgentQuery, OutputQuery

__all__ = ["await_start", "await_status", "follow", "read"]

QUIET_S = 60.0
"""A stream that carries not even an idle frame for this long (four times the usual) is taken for dead."""

POLL_MS = 30_000
EARLY_S = 0.5
MOMENT_S = 1.0
PASSING = frozenset({Code.HOST_OFFLINE, Code.UNAVAILABLE, Code.TIMEOUT})
"""Refusals that end by themselves when the host or the server is back."""


class _Outage:
    """Says once that nobody answers, when it lasts, and that somebody does again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._failures = 0
        self._said = False

    def wait(self, error: Unreachable | ApiError) -> None:
        """Wait and look again. Call in every round that failed; raises what does not end by itself."""
        if isinstance(error, ApiError) and error.code not in PASSING:
            raise error
        self._failures += 1
        if self._failures >= 3 and not self._said:
            self._said = True
            say(f"{error}; still trying, ^C gives up")
        self._server.come_back()

    def answered(self) -> None:
        """A call was answered. Whether the answer will be whole is still to be seen."""
        if self._said:
            say(f"{self._server.name} answers again")
        self._said = False

    def over(self) -> None:
        self.answered()
        self._failures = 0
        self._server.settled()


def read(
    server: Server, agent_id: str, query: OutputQuery, answered: Callable[[], None] | None = None
) -> Iterator[Frame]:
    """Return the frames of one request, up to and with the one that says that there is no more.

    `answered` is called once the request is, which may be long before the first frame. Raises
    `Unreachable` if the stream broke off before the last one, whatever the reason.
    """
    decoder = FrameDecoder()
    options = {"path": {"id": agent_id}, "query": query, "accept": MEDIA_TYPE, "read_timeout_s": QUIET_S}
    with server.client.stream(READ_OUTPUT, **options) as response:  # type: ignore[arg-type]
        if answered is not None:
            answered()
        for piece in response.iter_raw():
            for frame in decoder.feed(piece):
                yield frame
                if frame.kind is Kind.END or (frame.kind is Kind.PAUSE and not query.follow):
                    return
    raise Unreachable(f"{server.name} broke off the output")


def follow(server: Server, agent_id: str, offset: int = 0, *, timed: bool = False) -> Iterator[Frame]:
    """Return output and gaps from `offset` until the agent has ended, going on where a connection broke.

    With `timed` also the times and the terminal's sizes.

    A stream that ends although the agent lives (its server was shut down) is only another break.
    """
    outage = _Outage(server)
    while True:
        try:
            query = OutputQuery(offset=offset, follow=True, timed=timed)
            for frame in read(server, agent_id, query, outage.answered):
                outage.over()
                if frame.kind is Kind.END and server.call(GET_AGENT, path={"id": agent_id}).ended:
                    yield from _rest(server, agent_id, OutputQuery(offset=offset, timed=timed))
                    return
                if frame.kind in (Kind.END, Kind.PAUSE, Kind.IDLE):
                    continue
                offset = frame.end
                yield frame
            server.come_back()
        except (Unreachable, ApiError) as error:
            outage.wait(error)


def _rest(server: Server, agent_id: str, query: OutputQuery) -> Iterator[Frame]:
    """Return what an ended agent wrote while the server that said so was away."""
    for frame in read(server, agent_id, query):
        if frame.kind not in (Kind.END, Kind.PAUSE, Kind.IDLE):
            yield frame


def await_start(server: Server, agent_id: str) -> None:
    """Return once a queued agent runs or has ended; says why it waits if that takes more than a moment."""
    if await_status(server, agent_id, "running", time.monotonic() + MOMENT_S) is None:
        agent = server.call(GET_AGENT, path={"id": agent_id})
        if agent.status is Status.QUEUED and agent.reason:
            say(f"{agent_id} is queued: {agent.reason}")
        await_status(server, agent_id, "running")


def await_status(
    server: Server, agent_id: str, until: str, deadline: float | None = None
) -> ManagedAgent | None:
    """Return the agent once it is `running`, `ready` or `ended`, or None at `deadline` (monotonic).

    One that has ended will not get any further, so it is returned whatever was waited for.
    """
    outage = _Outage(server)
    while True:
        left = POLL_MS if deadline is None else int((deadline - time.monotonic()) * 1000)
        query = AgentQuery(wait=until, timeout_ms=min(POLL_MS, max(0, left)))
        asked = time.monotonic()
        try:
            agent = server.call(GET_AGENT, path={"id": agent_id}, query=query, timeout_s=QUIET_S)
        except (Unreachable, ApiError) as error:
            outage.wait(error)
        else:
            outage.over()
            if _reached(agent, until):
                return agent
            if time.monotonic() - asked < EARLY_S:
                server.come_back()  # it answers before its time, so it may be about to go
        if deadline is not None and time.monotonic() >= deadline:
            return None


def _reached(agent: ManagedAgent, until: str) -> bool:
    if agent.ended:
        return True
    if until == "running":
        return agent.status in (Status.RUNNING, Status.STOPPING)
    return until == "ready" and agent.ready_at is not None
