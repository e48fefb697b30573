"""What about a running agent somebody should look at, in words, for as long as it is so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spawners.providers import events
from spawners.providers.events import Event

__all__ = ["Concerns", "Thresholds"]

URGENCY = (
    "unstoppable",
    "approval",
    "question",
    "process",
    "screen",
    "failed",
    "rate limit",
    "same calls",
    "retries",
    "silent",
    "context",
)
"""What holds somebody up comes first, what only may become a problem last."""

MAX_QUOTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many equal calls of tools in a row, failures of the model's provider in a row, milliseconds
    without a sign of progress and which share of a full context are worth saying."""

    same_calls: int = 5
    retries: int = 3
    silent_ms: int = 600_000
    full: float = 0.9


class Concerns:
    """Takes the events of one agent in order, and what others `note`."""

    def __init__(self, thresholds: Thresholds = Thresholds()) -> None:
        self._thresholds = thresholds
        self._noted: dict[str, str] = {}
        self._call: tuple[str, str] | None = None
        self._calls = 0
        self._retries = 0
        self._window: int | None = None

    def note(self, kind: str, words: str) -> None:
        """Have `words` hold for this kind of `URGENCY` from now on; empty: nothing does any more."""
        if words:
            self._noted[kind] = words
        else:
            self._noted.pop(kind, None)

    def take(self, event: Event) -> None:
        """Note what `event` says, and that what it ends is over."""
        if isinstance(event, _PROGRESS):
            self._retries = 0
            self._over("question", "retries", "rate limit", "failed")
        match event:
            case events.TurnStarted() | events.TurnEnded():
                self._call, self._calls = None, 0
                self._over("question", "retries", "same calls", "failed")
                if not isinstance(event, events.TurnEnded) or event.status != "failed":
                    self._over("rate limit")
                elif "rate limit" not in self._noted:  # which is why it failed, and says until when
                    self.note("failed", f"its turn failed: {_quoted(event.error or 'it does not say why')}")
            case events.ToolStarted(_, name, arguments):
                self._called(name, arguments)
            case events.QuestionAsked(text):
                self.note("question", f"asks: {_quoted(text)}")
            case events.Retrying():
                self._retried(event)
            case events.RateLimited(message, resets_at_ms):
                until = f" until {clock(resets_at_ms)}" if resets_at_ms else ""
                self.note("rate limit", f"rate limited{until}: {_quoted(message)}")
            case events.ContextUsed(used, window):
                self._filled(used, window)

    def _over(self, *kinds: str) -> None:
        for kind in kinds:
            self._noted.pop(kind, None)

    def _called(self, name: str, arguments: str) -> None:
        self._calls = self._calls + 1 if self._call == (name, arguments) else 1
        self._call = (name, arguments)
        many = self._calls >= self._thresholds.same_calls
        words = (
            f"has called {name} {self._calls} times in a row with the same arguments: {_quoted(arguments)}"
        )
        self.note("same calls", words if many else "")

    def _retried(self, event: events.Retrying) -> None:
        self._retries = max(self._retries + 1, event.attempt or 0)
        if self._retries >= self._thresholds.retries:
            of = f" of {event.of}" if event.of else ""
            words = f"the model's provider fails again and again (attempt {self._retries}{of})"
            self.note("retries", f"{words}: {_quoted(event.message)}")

    def _filled(self, used: int, window: int | None) -> None:
        self._window = window or self._window
        if self._window:
            words = f"its context is {used / self._window:.0%} full ({used:,} of {self._window:,} tokens)"
            self.note("context", words if used >= self._thresholds.full * self._window else "")

    def silent_at_ms(self, moved_ms: int) -> int:
        """Return when somebody should be told, if a busy agent gives no sign of progress after `moved_ms`."""
        return moved_ms + self._thresholds.silent_ms

    def words(self, asked: Sequence[str], silent_since_ms: int | None) -> str | None:
        """Return all that holds now, the most urgent first; None: nothing does.

        `asked` are the titles of what it asks approval for. `silent_since_ms` is the last sign of progress
        of one that is busy and has given none for too long.
        """
        noted = dict(self._noted)
        if asked:
            noted["approval"] = f"asks for approval: {'; '.join(_quoted(title) for title in asked)}"
            noted.pop("screen", None)  # which says the same
        if silent_since_ms is not None:
            noted["silent"] = f"no sign of progress since {clock(silent_since_ms)}"
        return "; ".join(noted[kind] for kind in URGENCY if kind in noted) or None


_PROGRESS = (events.Said, events.ToolStarted, events.ToolFinished, events.ApprovalSettled)


def clock(at_ms: int) -> str:
    """A moment as people anywhere read it."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return "a time that is none"


def _quoted(text: str) -> str:
    line = " ".join(text[: 4 * MAX_QUOTED].split())
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1] + "…"
