"""What `copilot --output-format json` prints."""

from __future__ import annotations

from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.base import Opening
from spawners.providers.events import Event
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.listening import Listening
from spawners.providers.text import canonical

__all__ = ["CopilotStream"]


class CopilotStream(Listening):
    """Events with their `data`, then one `result` whose `exitCode` decides and that first names the session.

    What a subagent says (`parentToolCallId`) is no answer.
    """

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._session = opening.session_id
        self._model = opening.model
        self._ready = False
        self._failure = "its model's provider failed"

    def take(self, line: Line) -> Iterator[Event]:
        kind, data = text_of(line, "type"), inner(line, "data")
        if kind in ("session.tools_updated", "user.message") and not self._ready:
            self._ready = True
            yield events.SessionStarted(self._session, text_of(data, "model") or self._model)
        match kind:
            case "user.message":
                yield events.TurnStarted()
            case "assistant.message" if text_of(data, "parentToolCallId") is None:
                text = text_of(data, "content")
                if text is not None:
                    yield events.Said(text)
            case "tool.execution_start":
                call, tool = text_of(data, "toolCallId") or "", text_of(data, "toolName") or ""
                yield events.ToolStarted(call, tool, canonical(data.get("arguments")))
            case "tool.execution_complete":
                yield events.ToolFinished(text_of(data, "toolCallId") or "", data.get("success") is not True)
                yield from _context(inner(inner(data, "toolTelemetry"), "metrics"))
            case "model.call_failure" | "assistant.turn_retry" | "session.error":
                yield from self._failed(kind, data)
            case "result":
                yield from self._result(line)

    def _failed(self, kind: str, data: Line) -> Iterator[Event]:
        if kind == "model.call_failure":
            status = data.get("statusCode")
            self._failure = f"HTTP {status}: {text_of(data, 'errorMessage') or 'no message'}"
        elif kind == "assistant.turn_retry":
            yield events.Retrying(f"{text_of(data, 'reason') or 'failed'}: {self._failure}")
        else:
            yield events.Problem(text_of(data, "message") or self._failure)

    def _result(self, line: Line) -> Iterator[Event]:
        session, code = text_of(line, "sessionId"), line.get("exitCode")
        if session is not None and session != self._session:
            self._session = session
            yield events.SessionStarted(session)
        if code == 0:
            yield events.TurnEnded(status="completed")
        else:
            yield events.TurnEnded(status="failed")


def _context(metrics: Line) -> Iterator[Event]:
    used, window = metrics.get("context_current_tokens"), metrics.get("context_token_limit")
    if isinstance(used, int):
        yield events.ContextUsed(used, window if isinstance(window, int) else None)
