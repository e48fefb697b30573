"""Folds a run's events into what is known of it. Pure, and the same for every provider."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spawners.providers import events
from spawners.providers.events import Event, Usage
from spawners.providers.manifest import Activity
from spawners.providers.text import MAX_TEXT, clip

__all__ = ["Outcome", "Tally", "activity_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a CLI's own events say about its run, as far as they were read.

    `approval_mode` is the last one that it was changed to while it ran (None: as it was started).
    `ready` once the CLI has said that it is up. `text` is the last answer. `error` is the CLI's own
    word for a failure: with it the run has failed even if the exit code is 0. `finished` once a turn
    is over and no other has begun; a run that was killed never is. `turns` counts the model's answers,
    `tool_calls` the tools that were started. `rate_limited_until_ms` is 0 where it is not known when.
    """

    session_id: str | None = None
    model: str | None = None
    approval_mode: str | None = None
    ready: bool = False
    text: str | None = None
    error: str | None = None
    finished: bool = False
    turns: int = 0
    tool_calls: int = 0
    usage: Usage | None = None
    cost_usd: float | None = None
    context_used: int | None = None
    context_window: int | None = None
    rate_limited: str | None = None
    rate_limited_until_ms: int = 0

    @property
    def failure(self) -> str | None:
        """Why the run has failed although its program exited 0, once all of its output was read.

        Without an error it is that the run has begun and has no end: claude, interrupted before the
        first word of its answer, exits 0 and prints nothing more.
        """
        if self.error is None and self.ready and not self.finished:
            return "its run has no end, as when it is interrupted"
        return self.error


class Tally:
    """Takes events in order; `outcome` is what they come to so far, on top of what was `known`."""

    def __init__(self, known: Outcome | None = None) -> None:
        self.outcome = known or Outcome()
        self._said: list[str] = []
        self._length = 0
        self._stale = True
        self._answering = False

    def take(self, event: Event) -> None:
        """Count `event`."""
        known = self.outcome
        match event:
            case events.SessionStarted(session_id, model):
                known = replace(
                    known,
                    session_id=session_id or known.session_id,
                    model=model or known.model,
                    ready=True,
                )
            case events.TurnStarted():
                self._stale, self._answering = True, False
                known = replace(known, ready=True, finished=False, error=None, rate_limited=None)
            case events.Said(text, piece):
                known = self._answered(known)
                self._say(text, piece)
                known = replace(known, text=clip("".join(self._said)) or known.text)
            case events.ToolStarted():
                known = self._answered(known)
                self._stale = True
                known = replace(known, tool_calls=known.tool_calls + 1, finished=False)
            case events.ToolFinished():
                self._answering = False
            case events.Used(usage, cost_usd):
                known = replace(
                    known, usage=usage, cost_usd=cost_usd if cost_usd is not None else known.cost_usd
                )
            case events.ContextUsed(used, window):
                known = replace(known, context_used=used, context_window=window or known.context_window)
            case events.RateLimited(message, resets_at_ms):
                known = replace(known, rate_limited=clip(message), rate_limited_until_ms=resets_at_ms or 0)
            case events.Problem(message):
                known = replace(known, error=clip(message) or "unknown error")
            case events.Changed(model, mode):
                known = replace(known, model=model or known.model, approval_mode=mode or known.approval_mode)
            case events.TurnEnded():
                known = self._ended(known, event)
        self.outcome = known

    def _answered(self, known: Outcome) -> Outcome:
        """One more answer of the model begins with the first thing after a message or a tool's result."""
        if self._answering:
            return known
        self._answering = True
        return replace(known, turns=known.turns + 1, rate_limited=None)

    def _say(self, text: str, piece: bool) -> None:
        if self._stale or not piece:
            self._said.clear()
            self._length = 0
            self._stale = False
        if self._length <= MAX_TEXT:
            self._said.append(text)
            self._length += len(text)

    def _ended(self, known: Outcome, event: events.TurnEnded) -> Outcome:
        error = None
        if event.status == "failed":
            error = clip(event.error or known.error or "the turn failed")
        elif event.status == "interrupted":
            error = clip(event.error or "the turn was interrupted")
        text = clip(event.text) if event.text else known.text
        self._stale, self._answering = True, False
        return replace(
            known,
            ready=True,
            finished=True,
            text=None if error else text,
            error=error,
            turns=event.turns if event.turns is not None else known.turns,
            # Somebody has called off the turn that it held up, and wants no more of it.
            rate_limited=None if event.status == "interrupted" else known.rate_limited,
        )


_BUSY = (
    events.TurnStarted,
    events.Said,
    events.ToolStarted,
    events.ToolFinished,
    events.ApprovalSettled,
    events.Retrying,
)


def activity_of(event: Event) -> Activity | None:
    """What `event` says its CLI is doing from now on; None: nothing about that."""
    if isinstance(event, _BUSY):
        return Activity.BUSY
    if isinstance(event, events.TurnEnded):
        return Activity.IDLE
    if isinstance(event, events.ApprovalAsked | events.RateLimited):
        return Activity.BLOCKED
    if isinstance(event, events.QuestionAsked):
        return Activity.WAITING_INPUT
    return None
