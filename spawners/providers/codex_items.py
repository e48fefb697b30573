"""What Codex calls an item: something that was said or done in a turn. The same in both of its streams, save
that `exec` writes `command_execution` where the app server writes `commandExecution`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.events import Event
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import text_of
from spawners.providers.text import canonical

__all__ = ["Items", "held_up"]

TOOLS = {
    "command_execution": ("shell", ("command",)),
    "file_change": ("apply_patch", ("changes",)),
    "web_search": ("web_search", ("query",)),
    "image_view": ("view_image", ("path",)),
    "image_generation": ("image_generation", ("revisedPrompt",)),
}
"""Item → what its tool is called, and the fields that are its arguments."""

NAMED = ("mcp_tool_call", "dynamic_tool_call", "collab_agent_tool_call", "collab_tool_call")
"""Items that name their tool, and perhaps the server or namespace that it belongs to."""

RETRY = re.compile(r"Reconnecting\.\.\. (\d+)/(\d+)")
LIMIT = re.compile(r"usage limit|rate limit|\b429\b", re.IGNORECASE)


class Items:
    """Turns the items of one run into events. One that is told of only at its end has started then."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def started(self, item: Line) -> Iterator[Event]:
        call = _call(item)
        if call is not None:
            number = text_of(item, "id") or ""
            self._open[number] = call[1]
            yield events.ToolStarted(number, *call)

    def completed(self, item: Line, *, says: bool = True) -> Iterator[Event]:
        """`says` is false for an item of a subagent: what that says is no answer of the agent's."""
        if _kind(item) == "agent_message" and says:
            yield events.Said(text_of(item, "text") or "")
        if _call(item) is None:
            return
        number = text_of(item, "id") or ""
        if number not in self._open:
            yield from self.started(item)
        self._open.pop(number, None)
        yield events.ToolFinished(number, item.get("status") in ("failed", "declined"))

    def arguments(self, number: str) -> str:
        """Those of the item `number`, which has started and not completed."""
        return self._open.get(number, "{}")

    @property
    def open(self) -> frozenset[str]:
        """Those that have started and not completed."""
        return frozenset(self._open)


def held_up(message: str, *, limited: bool = False, resets_at_ms: int | None = None) -> Iterator[Event]:
    """What an error says beyond that it is one."""
    retry = RETRY.search(message)
    if retry:
        yield events.Retrying(message, int(retry[1][:6]), int(retry[2][:6]))
    if limited or LIMIT.search(message):
        yield events.RateLimited(message, resets_at_ms)


def _kind(item: Line) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", text_of(item, "type") or "")


def _call(item: Line) -> tuple[str, str] | None:
    kind = _kind(item)
    if kind in TOOLS:
        name, keys = TOOLS[kind]
        return name, canonical({key: item[key] for key in keys if key in item})
    if kind not in NAMED:
        return None
    name = text_of(item, "tool") or kind
    owner = text_of(item, "server") or text_of(item, "namespace")
    given = item.get("arguments") if "arguments" in item else {"prompt": item.get("prompt")}
    return f"{owner}.{name}" if owner else name, canonical(given)
