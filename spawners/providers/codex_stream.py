"""What `codex exec --json` prints, as events. Lines as seen with 0.169.0."""

from __future__ import annotations

from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.codex_items import Items, held_up
from spawners.providers.events import Event, Usage
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import count, inner, text_of
from spawners.providers.listening import Listening

__all__ = ["CodexStream"]


class CodexStream(Listening):
    """`thread.started`, items, then `turn.completed` or `turn.failed`.

    A bare `error` is often a warning: it counts until the turn completes. An item `error` never is more
    than one. The tokens of a resumed thread include those of its earlier runs, which codex counts along.
    """

    def __init__(self) -> None:
        super().__init__()
        self._items = Items()

    def take(self, line: Line) -> Iterator[Event]:
        match line.get("type"):
            case "thread.started":
                yield events.SessionStarted(text_of(line, "thread_id"))
            case "turn.started":
                yield events.TurnStarted()
            case "item.started":
                yield from self._items.started(inner(line, "item"))
            case "item.completed":
                yield from self._items.completed(inner(line, "item"))
            case "turn.completed":
                usage = inner(line, "usage")
                if usage:
                    yield events.Used(_usage(usage))
                yield events.TurnEnded(status="completed")
            case "turn.failed":
                yield events.TurnEnded(status="failed", error=text_of(inner(line, "error"), "message"))
            case "error":
                message = text_of(line, "message") or "unknown error"
                yield from held_up(message)
                yield events.Problem(message)


def _usage(usage: Line) -> Usage:
    return Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        cached_input_tokens=count(usage, "cached_input_tokens"),
        reasoning_tokens=count(usage, "reasoning_output_tokens"),
    )
