"""What an agent says over ACP of its tools: calls in pieces, and permissions that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spawners.providers import events
from spawners.providers.base import Decision, ProviderError
from spawners.providers.events import Event
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.jsonrpc import Call
from spawners.providers.text import canonical, clip

__all__ = ["CANCELLED", "Permission", "ToolCalls", "chosen"]

CANCELLED = {"outcome": {"outcome": "cancelled"}}

OTHER = "other"
"""ACP's name for a kind of tool that has no name."""

OVER = {"completed": False, "failed": True}
"""Whether a call with this status has failed."""


@dataclass(slots=True)
class _Tool:
    name: str = OTHER
    title: str = ""
    arguments: Any = None
    started: bool = False

    def learn(self, update: Line) -> None:
        """Take what a later word on the same call adds."""
        kind = text_of(update, "kind") if self.name == OTHER else None
        self.name = text_of(inner(update, "_meta"), "toolName") or kind or self.name
        self.title = text_of(update, "title") or self.title
        self.arguments = inner(update, "rawInput") or self.arguments

    def words(self) -> str:
        """What it would do, for people: the command itself, whatever else the model calls it."""
        command = text_of(self.arguments or {}, "command") or ""
        title = self.title or self.name
        return title if command in title else f"{command} ({title})"

    def input(self) -> str:
        """Its arguments as JSON; of agents that do not tell them, the title, which is made of them."""
        return canonical(self.arguments or ({"title": self.title} if self.title else {}))


class ToolCalls:
    """Holds the calls that are not over.

    One counts as started with the second word on it, or the first that does not call it `pending`:
    opencode announces a call before it has its arguments.
    """

    def __init__(self) -> None:
        self._tools: dict[str, _Tool] = {}

    def take(self, update: Line) -> Iterator[Event]:
        """What a `tool_call` or `tool_call_update` says."""
        call_id = text_of(update, "toolCallId")
        if call_id is None:
            return
        new = call_id not in self._tools
        tool = self._tools.setdefault(call_id, _Tool())
        tool.learn(update)
        status = text_of(update, "status") or "pending"
        if not (new and status == "pending"):
            yield from self._start(call_id, tool)
        if status in OVER:
            yield events.ToolFinished(call_id, OVER[status])
            del self._tools[call_id]

    def ask(self, request_id: str, update: Line) -> Iterator[Event]:
        """What it says that leave is asked for this call."""
        call_id = text_of(update, "toolCallId") or request_id
        tool = self._tools.setdefault(call_id, _Tool())
        tool.learn(update)
        yield from self._start(call_id, tool)
        yield events.ApprovalAsked(request_id, tool.name, tool.input(), clip(tool.words()))

    def end(self) -> Iterator[Event]:
        """What a turn's end says of the calls it left open: gemini says no more of one that was refused."""
        for call_id, tool in self._tools.items():
            if tool.started:
                yield events.ToolFinished(call_id, failed=True)
        self._tools.clear()

    def _start(self, call_id: str, tool: _Tool) -> Iterator[Event]:
        if not tool.started:
            tool.started = True
            yield events.ToolStarted(call_id, tool.name, tool.input())


class Permission:
    """A `session/request_permission` that waits for its answer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        offered = call.params.get("options")
        self._options = {
            str(option.get("kind")): option["optionId"]
            for option in reversed(offered if isinstance(offered, list) else [])
            if isinstance(option, dict) and isinstance(option.get("optionId"), str)
        }

    def allowed(self) -> dict[str, Any]:
        """The answer that lets this one call go on. Raises `ProviderError` if only more is offered."""
        if "allow_once" not in self._options:
            raise ProviderError("unsupported", "it offers no leave for this one time only; deny it")
        return chosen(self._options["allow_once"])

    def denied(self) -> dict[str, Any]:
        option = self._options.get("reject_once") or self._options.get("reject_always")
        return chosen(option) if option else CANCELLED

    def answer(self, decision: Decision) -> dict[str, Any]:
        """Raises `ProviderError` (`unsupported`) for changed input: ACP has no words for it."""
        if decision.input is not None:
            raise ProviderError("unsupported", "its tools take no changed input: allow or deny it as it is")
        return self.allowed() if decision.allow else self.denied()


def chosen(option: str) -> dict[str, Any]:
    return {"outcome": {"outcome": "selected", "optionId": option}}
