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
from relay.wire.approvals import Approval, ApprovalState, approval_id
from relay.wire.base import decode, now_ms
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
        self._asked: dict[str, Approval] = {}
        self._requests: dict[str, str] = {}
        self._answers: dict[str, Approval] = {}
        self._take_up()
        self._caught_up = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outcome(self) -> Outcome:
        return self._tally.outcome

    def _take_up(self) -> None:
        """Begin with what an earlier daemon saw asked in a terminal, for that is not told again."""
        record = self._registry.get(self._agent_id)
        if record is not None and record.agent.mode is not Mode.HEADLESS:
            self._asked = {a.id: a for a in record.agent.approvals if a.state is ApprovalState.PENDING}

    def asks(self, approval_id: str) -> bool:
        """Whether the agent waits for this answer."""
        return approval_id in self._asked

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
            if isinstance(event, events.ApprovalAsked):
                self._ask(event, at_ms)
            elif isinstance(event, events.ApprovalSettled):
                self._settle(approval_id(self._agent_id, event.id), event.note)
            elif isinstance(event, events.TurnEnded):
                self._asked.clear()
                self._requests.clear()
            doing = activity_of(event)
            if doing is not None:
                activity = Activity(doing)
                if self._asked and activity is Activity.BUSY:  # with another tool, beside the one that waits
                    activity = Activity.BLOCKED
                self._sightings.saw(source, activity, at_ms)
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

    def answering(self, answer: Approval) -> None:
        """Have `answer` stand if the agent's terminal settles the question from now on."""
        self._answers[answer.id] = answer

    def unanswered(self, approval_id: str) -> None:
        """Take back `answering`: the answer was not given, or nothing shows that it was taken."""
        self._answers.pop(approval_id, None)

    def answered(self, approval_id: str) -> None:
        """Note that the agent has taken its answer in its terminal."""
        self._settle(approval_id)
        self._show()

    def asks_nothing(self) -> None:
        """Note that the agent's terminal shows no question (any more)."""
        if self._asked:
            self._asked.clear()
            self._requests.clear()
            self._show()

    def _ask(self, event: events.ApprovalAsked, at_ms: int) -> None:
        record = self._registry.get(self._agent_id)
        if record is None:
            return
        channel = "stream" if record.agent.mode is Mode.HEADLESS else "screen"
        asked = approvals.asked(record.agent, event, at_ms, channel, self._approval_timeout_ms)
        self._asked.setdefault(asked.id, asked)
        self._requests[asked.id] = event.id

    def _settle(self, asked: str, note: str = "") -> None:
        """`note` is the answer, where it was given through this host."""
        self._asked.pop(asked, None)
        self._requests.pop(asked, None)
        if note:
            self._answers[asked] = decode(note.encode(), Approval)

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
        try:
            self._registry.change(self._agent_id, EventType.AGENT_CHANGED, **changed)
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
        return approvals.settled(record.agent.approvals, [*self._asked.values()], self._answers, now_ms())


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
