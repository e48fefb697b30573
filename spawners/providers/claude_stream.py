"""What Claude Code prints with `--output-format stream-json`, as events. Lines as seen with 2.1.197."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spawners.providers import events
from spawners.providers.events import Event, Usage
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import count, inner, objects, text_of
from spawners.providers.listening import Listening
from spawners.providers.text import canonical

__all__ = ["ClaudeStream"]

SYNTHETIC = "<synthetic>"
"""The model of a message that the CLI has made up, such as `API Error: …`; the `result` repeats it."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """`read` includes `cached`."""

    read: int = 0
    written: int = 0
    cached: int = 0

    def __add__(self, other: _Tokens) -> _Tokens:
        return _Tokens(self.read + other.read, self.written + other.written, self.cached + other.cached)


class ClaudeStream(Listening):
    """`system/init` at the start of each turn, then messages, then one `result` whose `is_error` counts: an
    API failure comes with the subtype `success`, an interrupted run with exit code 0.

    What a subagent says is none of the agent's answer, but its tools and tokens count.
    """

    def __init__(self) -> None:
        super().__init__()
        self._model: str | None = None
        self._before = _Tokens()
        self._turn: dict[str, _Tokens] = {}
        self._context = 0

    def take(self, line: Line) -> Iterator[Event]:
        match line.get("type"):
            case "system":
                yield from self._system(line)
            case "assistant":
                yield from self._assistant(line, inner(line, "message"))
            case "user":
                for block in objects(inner(line, "message"), "content"):
                    if block.get("type") == "tool_result":
                        failed = block.get("is_error") is True
                        yield events.ToolFinished(text_of(block, "tool_use_id") or "", failed)
            case "rate_limit_event":
                yield from _limited(inner(line, "rate_limit_info"))
            case "result":
                yield from self._result(line)

    def _system(self, line: Line) -> Iterator[Event]:
        match line.get("subtype"):
            case "init":
                self._model = text_of(line, "model")
                yield events.SessionStarted(text_of(line, "session_id"), self._model)
                yield events.TurnStarted()
            case "api_retry":
                status = line.get("error_status")
                message = f"{text_of(line, 'error') or 'the request failed'} ({status})"
                yield events.Retrying(message, count(line, "attempt"), count(line, "max_retries"))
                if status == 429:
                    yield events.RateLimited(message)

    def _assistant(self, line: Line, message: Line) -> Iterator[Event]:
        model, whole = text_of(message, "model"), line.get("parent_tool_use_id") is None
        for block in objects(message, "content"):
            match block.get("type"):
                case "text" if whole and model != SYNTHETIC:
                    yield events.Said(text_of(block, "text") or "")
                case "tool_use":
                    name, arguments = text_of(block, "name") or "", canonical(block.get("input", {}))
                    yield events.ToolStarted(text_of(block, "id") or "", name, arguments)
        number, tokens = text_of(message, "id"), _tokens(inner(message, "usage"))
        if number is None or tokens == _Tokens():
            return
        if self._turn.get(number) != tokens:
            self._turn[number] = tokens
            yield events.Used(_usage(sum(self._turn.values(), self._before)))
        if whole:
            self._context = tokens.read + tokens.written
            yield events.ContextUsed(self._context)

    def _result(self, line: Line) -> Iterator[Event]:
        models, cost = inner(line, "modelUsage"), line.get("total_cost_usd")
        each = [usage for usage in models.values() if isinstance(usage, dict)]
        if each:
            # Of the whole process, where `usage` is that of the turn.
            self._before = sum((_model_tokens(usage) for usage in each), _Tokens())
        else:
            self._before += _tokens(inner(line, "usage"))
        self._turn.clear()
        if self._before != _Tokens():
            known = float(cost) if isinstance(cost, int | float) else None
            yield events.Used(_usage(self._before), known)
        window = count(inner(models, self._model or ""), "contextWindow")
        if window and self._context:
            yield events.ContextUsed(self._context, window)
        if line.get("api_error_status") == 429:
            yield events.RateLimited(text_of(line, "result") or "rate limited")
        yield _ended(line)


def _ended(line: Line) -> Event:
    text, subtype = text_of(line, "result"), text_of(line, "subtype") or "unknown"
    failed = line.get("is_error") is True or subtype.startswith("error")
    errors = line.get("errors")
    said = "; ".join(e for e in errors if isinstance(e, str)) if isinstance(errors, list) else ""
    if (text_of(line, "terminal_reason") or "").startswith("aborted"):
        return events.TurnEnded(status="interrupted")
    if failed:
        return events.TurnEnded(status="failed", error=text or said or subtype)
    return events.TurnEnded(status="completed", text=text)


def _limited(info: Line) -> Iterator[Event]:
    """`allowed` and `allowed_warning` hold nothing up."""
    if info.get("status") == "rejected":
        kind = (text_of(info, "rateLimitType") or "").replace("_", " ")
        resets = count(info, "resetsAt")
        yield events.RateLimited(f"{kind} limit reached".strip(), resets * 1000 if resets else None)


def _tokens(usage: Line) -> _Tokens:
    cached = count(usage, "cache_read_input_tokens")
    read = count(usage, "input_tokens") + count(usage, "cache_creation_input_tokens") + cached
    return _Tokens(read, count(usage, "output_tokens"), cached)


def _model_tokens(usage: Line) -> _Tokens:
    cached = count(usage, "cacheReadInputTokens")
    read = count(usage, "inputTokens") + count(usage, "cacheCreationInputTokens") + cached
    return _Tokens(read, count(usage, "outputTokens"), cached)


def _usage(tokens: _Tokens) -> Usage:
    return Usage(input_tokens=tokens.read, output_tokens=tokens.written, cached_input_tokens=tokens.cached)
