"""Claude Code's own hooks: what it is told to run them with, and what their messages say. As in 2.1.197."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from spawners.providers import events
from spawners.providers.claude_control import title
from spawners.providers.events import Event
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.text import canonical

__all__ = ["hook_events", "settings"]

HOOKS = (
    *("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure"),
    *("PermissionRequest", "Elicitation", "Stop", "StopFailure"),
)

TIMEOUT_S = 5
"""Ten times what the program takes to give up: claude waits for its hooks."""


def settings(hook: tuple[str, ...]) -> bytes:
    """A file for `--settings` that adds `hook` to whatever hooks the user has."""
    command = {"type": "command", "command": shlex.join(hook), "timeout": TIMEOUT_S}
    return json.dumps({"hooks": {name: [{"hooks": [command]}] for name in HOOKS}}).encode()


def hook_events(payload: Mapping[str, Any]) -> Iterator[Event]:
    """What a message of its hooks says.

    A `PermissionRequest` has no id, so it is known by its tool and arguments; the same tool ends it.
    """
    tool, given = text_of(payload, "tool_name") or "", inner(payload, "tool_input")
    number = text_of(payload, "tool_use_id") or ""
    match payload.get("hook_event_name"):
        case "SessionStart":
            yield events.SessionStarted(text_of(payload, "session_id"), text_of(payload, "model"))
        case "UserPromptSubmit":
            yield events.SessionStarted(text_of(payload, "session_id"))
            yield events.TurnStarted()
        case "PreToolUse":
            yield events.ToolStarted(number, tool, canonical(given))
        case "PermissionRequest":
            yield events.ApprovalAsked(_request(tool, given), tool, canonical(given), title(tool, given))
        case "PostToolUse" | "PostToolUseFailure" as name:
            yield events.ApprovalSettled(_request(tool, given))
            yield events.ToolFinished(number, failed=name == "PostToolUseFailure")
        case "Elicitation":
            yield events.QuestionAsked(text_of(payload, "message") or "an MCP server asks")
        case "Stop":
            yield events.Said(text_of(payload, "last_assistant_message") or "")
            yield events.TurnEnded(status="completed", text=text_of(payload, "last_assistant_message"))
        case "StopFailure":
            said = text_of(payload, "last_assistant_message") or text_of(payload, "error")
            yield events.TurnEnded(status="failed", error=said or "the model failed")


def _request(tool: str, given: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{tool} {canonical(given)}".encode()).hexdigest()[:16]
