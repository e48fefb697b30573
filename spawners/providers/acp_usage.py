"""Counts what an agent says over ACP that it has used."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from spawners.providers.events import ContextUsed, Event, Usage, Used
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner

__all__ = ["Spent", "number", "usage_of"]


def usage_of(line: Line) -> Usage | None:
    """The `usage` in `line`, None if it has none."""
    usage = inner(line, "usage")
    if number(usage, "inputTokens") is None:
        return None
    return Usage(
        input_tokens=number(usage, "inputTokens"),
        output_tokens=number(usage, "outputTokens"),
        cached_input_tokens=number(usage, "cachedReadTokens"),
        reasoning_tokens=number(usage, "thoughtTokens"),
    )


class Spent:
    """The totals of a run."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._cost: float | None = None

    def more(self, usage: Usage) -> Event:
        """`usage` comes on top of what was used before."""
        values = {
            each.name: _sum(getattr(self._usage, each.name), getattr(usage, each.name))
            for each in fields(Usage)
        }
        return self.whole(Usage(**values))

    def whole(self, usage: Usage) -> Event:
        """`usage` is all that was used."""
        self._usage = usage
        return Used(usage, self._cost)

    def context(self, update: Line) -> list[Event]:
        """What a `usage_update` says: how full the context is, and of some what all has cost."""
        said: list[Event] = []
        used = number(update, "used")
        if used is not None:
            said.append(ContextUsed(used, number(update, "size") or None))
        cost = inner(update, "cost")
        amount = cost.get("amount")
        if cost.get("currency") == "USD" and isinstance(amount, int | float) and not isinstance(amount, bool):
            self._cost = float(amount)
            said.append(Used(self._usage, self._cost))
        return said


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


def number(line: Line, key: str) -> int | None:
    """The whole number at `key`, None if there is something else."""
    value: Any = line.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
