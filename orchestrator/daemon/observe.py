"""What is known of one running agent from its own words, shown as it comes but at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from orchestrator.agents import approvals
from orchestrator.agents.activity import Sighting, Sightings, Source
from orchestrator.agents.outcome import known, shown
from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Concerns, Thresholds
from relay.wire.agents import Activity, Mode
from relay.wire.approvals import Approval, ApprovalState, approval_id
from relay.wire.base import decode, now_ms
from relay.wire.errors import ApiError
from relay.wire.events import EventType
from spawners.providers import events
from spawners.providers.events import Event
from spawners.providers.tally import Outcome, Tally, activity_of

__all__ = ["Observer"]

log = structlog.get_logger()

ON_SCREEN = "screen-"
"""Begins the name of a request that was only seen on a screen."""

WAITS = (Activity.BLOCKED, Activity.WAITING_INPUT, Activity.NO_SIGNAL)

EVERY_S = 1.0
"""How often counters (tokens, tools) are written down; what somebody may act on is at once."""


class Observer:
    """Folds the events of one agent into its record.

    Until `caught_up` nothing is shown: what is heard again after the daemon's restart is old news.
    `acted` is told of every outcome, so that limits can be held. `written_ms` tells when the agent has
    last written anything.
    """

    def __init__(
        self,
        registry: Registry,
        agent_id: str,
        acted: Callable[[str, Outcome], None],
        approval_timeout_ms: int | None,
        thresholds: Thresholds,
        written_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._agent_id = agent_id
        self._acted = acted
        self._approval_timeout_ms = approval_timeout_ms
        self._written_ms = written_ms
        self._tally = Tally()
        self._sightings = Sightings()
        self._concerns = Concerns(thresholds)
        self._ready = False
        self._moved_ms = now_ms()
        self._asked: dict[str, Approval] = {}
        self._requests: dict[str, str] = {}
        self._answers: dict[str, Approval] = {}
        self._caught_up = False
        self._timer: asyncio.TimerHandle | None = None
        self._take_up()

    @property
    def outcome(self) -> Outcome:
        return self._tally.outcome

    def _take_up(self) -> None:
        """Begin with what an earlier daemon saw of one in a terminal, for that is not told again."""
        record = self._registry.get(self._agent_id)
        if record is None or record.agent.mode is Mode.HEADLESS:
            return
        agent = record.agent
        self._asked = {a.id: a for a in agent.approvals if a.state is ApprovalState.PENDING}
        self._tally = Tally(known(agent))
        # Its process is looked at anew, and tells only of a change.
        if agent.activity is not None and agent.activity_source not in (None, "process"):
            self._sightings.saw(agent.activity_source, agent.activity, agent.activity_at or 0)

    def asks(self, approval_id: str) -> bool:
        """Whether the agent waits for this answer."""
        return approval_id in self._asked

    @property
    def asking(self) -> bool:
        """Whether the agent waits for any answer."""
        return bool(self._asked)

    def request_of(self, approval_id: str) -> str | None:
        """The CLI's own id for what it asks; None for what it does not ask (any longer)."""
        return self._requests.get(approval_id)

    def caught_up(self) -> None:
        """What was heard before was old; show what it comes to."""
        if not self._caught_up:
            self._caught_up = True
            self._acted(self._agent_id, self.outcome)
            self._show()

    def heard(self, several: list[Event], at_ms: int, source: Source = "stream") -> None:
        """Take `several` events that `source` told of at `at_ms` (0: now)."""
        at_ms = at_ms or now_ms()
        self._moved_ms = max(self._moved_ms, at_ms) if self._caught_up else at_ms
        urgent = False
        for event in several:
            self._take(event, at_ms, source)
            urgent |= not isinstance(event, events.Used | events.ContextUsed | events.Said)
        if self._caught_up:
            self._acted(self._agent_id, self.outcome)
            if urgent:
                self._show()
            else:
                self._show_within(EVERY_S)

    def _take(self, event: Event, at_ms: int, source: Source) -> None:
        self._tally.take(event)
        self._concerns.take(event)
        if isinstance(event, events.ApprovalAsked):
            self._ask(event, at_ms)
        elif isinstance(event, events.ApprovalSettled):
            self._settle(approval_id(self._agent_id, event.id), event.note)
        elif isinstance(event, events.ToolFinished):
            self._settle(approval_id(self._agent_id, event.id))  # hooks do not tell of the answer
        elif isinstance(event, events.TurnEnded):
            self._asked.clear()
            self._requests.clear()
        doing = activity_of(event)
        if doing is not None:
            activity = Activity(doing)
            beside = self._asked and activity is Activity.BUSY  # with another tool than the one that waits
            if beside or (activity is Activity.IDLE and self._held()):
                activity = Activity.BLOCKED
            self._sightings.saw(source, activity, at_ms)

    def _held(self) -> bool:
        """Whether a rate limit has ended its turn, after which it will be told to go on (`holds.py`)."""
        record, outcome = self._registry.get(self._agent_id), self._tally.outcome
        waits = record is not None and record.agent.conversation and record.agent.on_rate_limit == "resume"
        return waits and outcome.finished and outcome.rate_limited is not None

    def saw(self, source: Source, activity: Activity | None, at_ms: int, reason: str = "") -> None:
        """Take a judgement on what the agent is doing (None: there is none any more).

        `reason` is what somebody should look at, in words; empty: nothing.
        """
        if activity is None:
            self._sightings.forget(source)
        else:
            self._sightings.saw(source, activity, at_ms)
            self._ready |= activity in (Activity.IDLE, Activity.BUSY, Activity.WAITING_INPUT)
        self.note(source, reason)

    def note(self, kind: str, words: str) -> None:
        """Have `words` stand among what needs attention (see `stuck.URGENCY`); empty: no more."""
        self._concerns.note(kind, words)
        if self._caught_up:
            self._show()

    def progressed(self) -> None:
        """Note that the agent's terminal shows something new."""
        self._moved_ms = max(self._moved_ms, now_ms())

    @property
    def moved_ms(self) -> int:
        """When there was the last sign that the agent goes on."""
        return self._moved_ms

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

    def asks_on_screen(self, question: events.ApprovalAsked) -> None:
        """Note that the agent's terminal shows `question`, and no other any more.

        What its hooks have told of stays: they know more of it, and when it is over.
        """
        if all(request.startswith(ON_SCREEN) for request in self._requests.values()):
            if len(self._requests) < len(self._asked):
                return  # told of before this daemon ran: the screen cannot tell which it is
            self._asked.clear()
            self._requests.clear()
            self._ask(question, now_ms())
            self._show()

    def _ask(self, event: events.ApprovalAsked, at_ms: int) -> None:
        record = self._registry.get(self._agent_id)
        if record is None:
            return
        channel = "stream" if record.agent.mode is Mode.HEADLESS else "screen"
        asked = approvals.asked(record.agent, event, at_ms, channel, self._approval_timeout_ms)
        self._asked.setdefault(asked.id, asked)
        self._answers.pop(asked.id, None)  # of an earlier question under the same id
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

    def _show_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() <= loop.time() + seconds:
            return
        self.close()
        self._timer = loop.call_later(seconds, self._show)

    def _show(self) -> None:
        self.close()
        self._timer = None
        record = self._registry.get(self._agent_id)
        if record is None or record.agent.ended:
            return
        agent, now = record.agent, now_ms()
        doing = self._sightings.shown(now)
        if doing is not None and doing.source == "screen" and doing.activity not in WAITS:
            self._asked.clear()  # somebody has answered in the terminal, and no hook told
            self._requests.clear()
        wanted = shown(self.outcome) | _activity(doing)
        wanted["approvals"] = self._approvals(record)
        wanted["attention"] = self._attention(doing, now)
        if agent.ready_at is None and (self.outcome.ready or self._ready):
            wanted["ready_at"] = now
        due_ms = self._sightings.due_ms(now)
        if due_ms is not None:
            self._show_within((due_ms - now) / 1000)
        changed = {name: value for name, value in wanted.items() if getattr(agent, name) != value}
        try:
            if changed:
                self._registry.change(self._agent_id, EventType.AGENT_CHANGED, **changed)
        except ApiError as error:
            log.error("agent.not_shown", agent=self._agent_id, error=error.message)
            return
        # The others are in the record, or too old for it.
        self._answers = {name: given for name, given in self._answers.items() if name in self._asked}

    def _attention(self, doing: Sighting | None, now: int) -> str | None:
        silent_since = None
        if doing is not None and doing.activity is Activity.BUSY:
            since = max(self._moved_ms, doing.since)
            if self._concerns.silent_at_ms(since) <= now:
                since = max(since, self._written_ms())
            silent_at = self._concerns.silent_at_ms(since)
            if silent_at <= now:
                silent_since = since
            else:
                self._show_within((silent_at - now) / 1000)
        return self._concerns.words([a.title or a.tool for a in self._asked.values()], silent_since)

    def _approvals(self, record: AgentRecord) -> list[Approval]:
        return approvals.settled(record.agent.approvals, [*self._asked.values()], self._answers, now_ms())


def _activity(sighting: Sighting | None) -> dict[str, Any]:
    if sighting is None:
        return {}
    return {
        "activity": sighting.activity,
        "activity_source": sighting.source,
        "activity_at": sighting.since,
    }
