"""What Qwen Code prints with `-o stream-json`, and what its hooks say. Lines as seen with 0.15.10."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from spawners.providers import events
from spawners.providers.claude_stream import ClaudeStream
from spawners.providers.events import Event
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import count, inner, objects, text_of
from spawners.providers.text import canonical

__all__ = ["QwenStream", "hook_events"]

API_ERROR = "[API Error: "


class QwenStream(ClaudeStream):
    """The same lines as claude's, with two differences.

    A failure of the API is an answer like any other, `[API Error: …]`, in a run that ends well: it is
    told from one of the model by its tokens, of which it has none. And `input_tokens` includes those
    that were cached.
    """

    def __init__(self) -> None:
        super().__init__()
        self._failure: str | None = None

    def take(self, line: Line) -> Iterator[Event]:
        match line.get("type"):
            case "assistant":
                message = inner(line, "message")
                self._failure = _failure(message)
                if self._failure is not None:
                    yield events.Problem(self._failure)
                    return
                line = {**line, "message": {**message, "usage": _uncached(inner(message, "usage"))}}
            case "result":
                line = {**line, "usage": _uncached(inner(line, "usage"))}
                if self._failure is not None:
                    line = {**line, "is_error": True, "result": self._failure}
        yield from super().take(line)


def _failure(message: Line) -> str | None:
    """The error in a message that is one."""
    said = "".join(text_of(block, "text") or "" for block in objects(message, "content"))
    if not said.startswith(API_ERROR) or count(inner(message, "usage"), "output_tokens"):
        return None
    return said.removeprefix("[").removesuffix("]")


def _uncached(usage: Line) -> Line:
    fresh = count(usage, "input_tokens") - count(usage, "cache_read_input_tokens")
    return {**usage, "input_tokens": max(0, fresh)}


def hook_events(payload: Mapping[str, Any]) -> Iterator[Event]:
    """What a message of its hooks says.

    `UserPromptSubmit` comes without a prompt where qwen goes on with a turn. A `PermissionRequest` has no
    id, so it is known by its tool and arguments; the same call is started once it was granted.
    """
    tool, given = text_of(payload, "tool_name") or "", canonical(inner(payload, "tool_input"))
    number = text_of(payload, "tool_use_id") or ""
    match payload.get("hook_event_name"):
        case "SessionStart":
            yield events.SessionStarted(text_of(payload, "session_id"), text_of(payload, "model"))
        case "UserPromptSubmit" if text_of(payload, "prompt"):
            yield events.SessionStarted(text_of(payload, "session_id"))
            yield events.TurnStarted()
        case "PermissionRequest":
            title = text_of(inner(payload, "tool_input"), "command") or tool
            yield events.ApprovalAsked(_request(tool, given), tool, given, title)
        case "PreToolUse":
            yield events.ApprovalSettled(_request(tool, given))
            yield events.ToolStarted(number, tool, given)
        case "PostToolUse" | "PostToolUseFailure" as name:
            yield events.ToolFinished(number, failed=name == "PostToolUseFailure")
        case "Stop":
            yield events.TurnEnded(status="completed", text=text_of(payload, "last_assistant_message"))
        case "StopFailure":
            said = text_of(payload, "error_details") or text_of(payload, "error")
            yield events.TurnEnded(status="failed", error=said or "the model failed")


def _request(tool: str, given: str) -> str:
    return hashlib.sha256(f"{tool} {given}".encode()).hexdigest()[:16]
