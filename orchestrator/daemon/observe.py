"""What is known of one running agent from its own words, shown as it comes but at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from orchestrator.agents import approvals
from orchestrator.agents.activity import Sightings, Source
from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from relay.wire.agents import Activity, Mode, Usage
from relay.wire.approvals import Approval, ApprovalState
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from relay.wire.events import EventType
from spawners.providers import events
from spawners.providers.events import Event
from spawners.providers.tally import Outcome, Tally, activity_of

__all__ = ["Observer"]

log = structlog.get_logger()

EVERY_S = 1.0
"""How often counters (tokens, tools) are written down; what somebody may act on is at once."""


class Observer:
    """Folds the events of one agent into its record.

    Until `caught_up` nothing is shown: what is heard again after the daemon's restart is old news.
    `acted` is told of every outcome, so that limits can be held.
    """

    def __init__(
        self,
        registry: Registry,
        agent_id: str,
        acted: Callable[[str, Outcome], None],
        approval_timeout_ms: int | None,
    ) -> None:
        self._registry = registry
        self._agent_id = agent_id
        self._acted = acted
        self._approval_timeout_ms = approval_timeout_ms
        self._tally = Tally()
        self._sightings = Sightings()
        self._asked: dict[str, tuple[events.ApprovalAsked, int]] = {}
        self._requests: dict[str, str] = {}
        self._answers: dict[str, Approval] = {}
        self._caught_up = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outcome(self) -> Outcome:
        return self._tally.outcome

    def request_of(self, approval_id: str) -> str | None:
        """The CLI's own id for what it asks; None for what it does not ask (any longer)."""
        return self._requests.get(approval_id)

    def caught_up(self) -> None:
        """What was heard before was old; show what it comes to."""
        if not self._caught_up:
            self._caught_up = True
            self._show()

    def heard(self, several: list[Event], at_ms: int, source: Source = "stream") -> None:
        """Take `several` events that `source` told of at `at_ms` (0: now)."""
        at_ms = at_ms or now_ms()
        urgent = False
        for event in several:
            self._tally.take(event)
            activity = activity_of(event)
            if activity is not None:
                self._sightings.saw(source, Activity(activity), at_ms)
            if isinstance(event, events.ApprovalAsked):
                self._asked[event.id] = (event, at_ms)
                self._requests[approvals.id_of(self._agent_id, event)] = event.id
            elif isinstance(event, events.ApprovalSettled):
                self._settled(event.id)
            elif isinstance(event, events.TurnEnded):
                for request in [*self._asked]:
                    self._settled(request)
            urgent |= not isinstance(event, events.Used | events.ContextUsed | events.Said)
        if self._caught_up:
            self._acted(self._agent_id, self.outcome)
            if urgent:
                self._show()
            elif self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._show)

    def saw(self, source: Source, activity: Activity, at_ms: int, reason: str = "") -> None:
        """Take a judgement on what the agent is doing."""
        self._sightings.saw(source, activity, at_ms, reason)
        if self._caught_up:
            self._show()

    def answering(self, answered: Approval) -> None:
        """Have `answered` stand as the answer once the CLI has been given it."""
        self._answers[answered.id] = answered

    def _settled(self, request: str) -> None:
        asked = self._asked.pop(request, None)
        if asked is not None:
            self._requests.pop(approvals.id_of(self._agent_id, asked[0]), None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # -- showing

    def _show(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        record = self._registry.get(self._agent_id)
        if record is None or record.agent.ended:
            return
        agent = record.agent
        wanted = shown(self.outcome) | self._activity()
        wanted["approvals"] = self._approvals(record)
        if agent.ready_at is None and self.outcome.ready:
            wanted["ready_at"] = now_ms()
        changed = {name: value for name, value in wanted.items() if getattr(agent, name) != value}
        if not changed:
            return
        kind = self._kind(agent.approvals, changed.get("approvals"))
        try:
            self._registry.change(self._agent_id, kind, **changed)
        except ApiError as error:
            log.error("agent.not_shown", agent=self._agent_id, error=error.message)

    def _activity(self) -> dict[str, Any]:
        sighting = self._sightings.shown(now_ms())
        if sighting is None:
            return {}
        return {
            "activity": sighting.activity,
            "activity_source": sighting.source,
            "activity_at": sighting.since,
        }

    def _approvals(self, record: AgentRecord) -> list[Approval]:
        channel = "stream" if record.agent.mode is Mode.HEADLESS else "screen"
        asked = [
            approvals.asked(record.agent, event, at, channel, self._approval_timeout_ms)
            for event, at in self._asked.values()
        ]
        return approvals.settled(record.agent.approvals, asked, self._answers, now_ms())

    @staticmethod
    def _kind(before: list[Approval], after: list[Approval] | None) -> str:
        if after is None:
            return EventType.AGENT_CHANGED
        pending = {item.id for item in after if item.state is ApprovalState.PENDING}
        known = {item.id for item in before}
        return EventType.APPROVAL_ASKED if pending - known else EventType.APPROVAL_SETTLED


def shown(outcome: Outcome) -> dict[str, Any]:
    """The fields of a managed agent that an outcome fills; what it does not know is left out."""
    fields: dict[str, Any] = {
        "error": outcome.error,
        "turns": outcome.turns,
        "tool_calls": outcome.tool_calls,
    }
    if outcome.finished and outcome.text is not None:
        fields["result"] = outcome.text
    if outcome.session_id is not None:
        fields["provider_session_id"] = outcome.session_id
    if outcome.model is not None:
        fields["model"] = outcome.model
    if outcome.cost_usd is not None:
        fields["cost_usd"] = outcome.cost_usd
    used = outcome.usage
    if used is not None or outcome.context_used is not None:
        fields["usage"] = Usage(
            input_tokens=used.input_tokens if used else None,
            output_tokens=used.output_tokens if used else None,
            cached_input_tokens=used.cached_input_tokens if used else None,
            reasoning_tokens=used.reasoning_tokens if used else None,
            context_used=outcome.context_used,
            context_window=outcome.context_window,
        )
    return fields
