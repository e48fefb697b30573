"""Tokens and limits as the Codex app server tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spawners.providers import events
from spawners.providers.events import Event, Usage
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import count, inner

__all__ = ["Limits", "Tokens"]

LIMITED = ("usageLimitExceeded", "rateLimitExceeded", "sessionBudgetExceeded")


@dataclass(frozen=True, slots=True)
class _Total:
    read: int = 0
    written: int = 0
    cached: int = 0
    reasoned: int = 0


class Tokens:
    """Sums up the threads of one run: its own and its subagents'.

    The first word about a resumed thread, before any turn, are the tokens of its earlier runs.
    """

    def __init__(self) -> None:
        self._before = _Total()
        self._threads: dict[str, _Total] = {}
        self._begun = False

    def begin(self) -> None:
        """A turn has begun: from now on tokens are this run's."""
        self._begun = True

    def updated(self, params: Line, *, ours: bool) -> Iterator[Event]:
        usage = inner(params, "tokenUsage")
        total = _total(inner(usage, "total"))
        if not self._begun:
            self._before = total
            return
        self._threads[str(params.get("threadId"))] = total
        several = self._threads.values()
        yield events.Used(
            Usage(
                input_tokens=sum(each.read for each in several) - self._before.read,
                output_tokens=sum(each.written for each in several) - self._before.written,
                cached_input_tokens=sum(each.cached for each in several) - self._before.cached,
                reasoning_tokens=sum(each.reasoned for each in several) - self._before.reasoned,
            )
        )
        if ours:
            window = count(usage, "modelContextWindow") or None
            yield events.ContextUsed(count(inner(usage, "last"), "totalTokens"), window)


class Limits:
    """What the account may still use; `resets_at_ms` is when the window that is used up begins anew."""

    def __init__(self) -> None:
        self.resets_at_ms: int | None = None

    def update(self, limits: Line) -> None:
        windows = [inner(limits, "primary"), inner(limits, "secondary")]
        ends = [count(window, "resetsAt") for window in windows if count(window, "usedPercent") >= 100]
        self.resets_at_ms = max(ends, default=0) * 1000 or None

    def reached(self, info: Any) -> bool:
        """Whether the `codexErrorInfo` of an error means that a limit is reached."""
        if isinstance(info, dict):
            return any(count(inner(info, key), "httpStatusCode") == 429 for key in info)
        return info in LIMITED if isinstance(info, str) else False


def _total(total: Line) -> _Total:
    return _Total(
        count(total, "inputTokens"),
        count(total, "outputTokens"),
        count(total, "cachedInputTokens"),
        count(total, "reasoningOutputTokens"),
    )
