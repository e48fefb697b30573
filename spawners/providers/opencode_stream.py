"""What `opencode run --format json` prints."""

from __future__ import annotations

from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.base import Opening
from spawners.providers.events import Event, Usage
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.listening import Listening
from spawners.providers.text import canonical

__all__ = ["OpencodeStream"]

REJECTED = "The user rejected permission"
"""How the error of a tool begins after which opencode ends the turn, with exit code 0."""

GOES_ON = frozenset({"tool-calls", "unknown"})
"""Reasons for the end of a step that are not the end of the turn."""

CUT = {
    "length": "the answer was cut off: it reached the model's limit of tokens",
    "content-filter": "the model's provider held its answer back",
}


class OpencodeStream(Listening):
    """Steps of the model, each from `step_start` to a `step_finish` with a reason; then the process ends.

    A tool is printed once it is over. There is no last word: the turn is over with a step that ends for
    another reason than a tool call. Every line names the session.
    """

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._model = opening.model
        self._session: str | None = None
        self._in_turn = False
        self._input = self._output = self._cached = self._reasoning = 0
        self._cost = 0.0

    def take(self, line: Line) -> Iterator[Event]:
        session, kind, part = text_of(line, "sessionID"), text_of(line, "type"), inner(line, "part")
        if session is not None and session != self._session:
            self._session = session
            yield events.SessionStarted(session, self._model)
        if kind == "step_start" and not self._in_turn:
            self._in_turn = True
            yield events.TurnStarted()
        match kind:
            case "text":
                yield events.Said(text_of(part, "text") or "")
            case "tool_use":
                yield from _used_tool(part)
            case "step_finish":
                yield from self._finished(part)
            case "error":
                yield events.Problem(_words(inner(line, "error")))

    def _finished(self, part: Line) -> Iterator[Event]:
        tokens = inner(part, "tokens")
        cache = inner(tokens, "cache")
        cached, written = _number(cache, "read"), _number(cache, "write")
        self._input += _number(tokens, "input") + cached + written
        self._output += _number(tokens, "output")
        self._cached += cached
        self._reasoning += _number(tokens, "reasoning")
        cost = part.get("cost")
        self._cost += cost if isinstance(cost, int | float) else 0.0
        usage = Usage(
            input_tokens=self._input,
            output_tokens=self._output,
            cached_input_tokens=self._cached,
            reasoning_tokens=self._reasoning,
        )
        yield events.Used(usage, self._cost)
        yield events.ContextUsed(_number(tokens, "input") + cached + written + _number(tokens, "output"))
        reason = text_of(part, "reason") or "unknown"
        if reason in GOES_ON:
            return
        self._in_turn = False
        if reason in CUT:
            yield events.TurnEnded(status="failed", error=CUT[reason])
        else:
            yield events.TurnEnded(status="completed")


def _used_tool(part: Line) -> Iterator[Event]:
    state = inner(part, "state")
    call, tool, error = text_of(part, "callID") or "", text_of(part, "tool") or "", text_of(state, "error")
    yield events.ToolStarted(call, tool, canonical(inner(state, "input")))
    yield events.ToolFinished(call, state.get("status") == "error")
    if error is not None and error.startswith(REJECTED):
        yield events.Problem(f"its turn ended because {tool} was not allowed")


def _words(error: Line) -> str:
    return text_of(inner(error, "data"), "message") or text_of(error, "name") or "unknown error"


def _number(line: Line, key: str) -> int:
    value = line.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
