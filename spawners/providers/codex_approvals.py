"""What the Codex app server asks of its client: approvals, and questions of the model or of an MCP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from spawners.providers import events
from spawners.providers.base import Decision, ProviderError
from spawners.providers.codex_items import Items
from spawners.providers.events import Event
from spawners.providers.jsonlines import inner, objects, text_of
from spawners.providers.jsonrpc import METHOD_NOT_FOUND, Call, Peer
from spawners.providers.text import canonical, clip

__all__ = ["Approvals"]

COMMAND = "item/commandExecution/requestApproval"
CHANGE = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
QUESTION = "item/tool/requestUserInput"
ELICITATION = "mcpServer/elicitation/request"

TOOLS = {
    COMMAND: "shell",
    CHANGE: "apply_patch",
    PERMISSIONS: "request_permissions",
    QUESTION: "request_user_input",
    ELICITATION: "mcp_elicitation",
}
"""All that can be asked for here, and what it is called; anything else is refused."""

MAX_TITLE = 300


class Approvals:
    """Those that are asked at present, each by the number of its request."""

    def __init__(self, peer: Peer, items: Items) -> None:
        self._peer = peer
        self._items = items
        self._asked: dict[str, Call] = {}

    def asked(self, call: Call, *, allowed: bool) -> Iterator[Event]:
        """Take a request; without anybody to ask (`allowed` false) it is denied at once."""
        if call.method not in TOOLS:
            self._peer.refuse(call.id, METHOD_NOT_FOUND, f"{call.method} is not supported here")
        elif not allowed:
            self._peer.answer(call.id, _answer(call, Decision(allow=False)))
        else:
            self._asked[str(call.id)] = call
            changes = self._items.arguments(text_of(call.params, "itemId") or "")
            given = changes if call.method == CHANGE else canonical(_input(call))
            yield events.ApprovalAsked(str(call.id), TOOLS[call.method], given, _title(call))

    def decide(self, request_id: str, decision: Decision) -> None:
        """Raises `ProviderError`: for one that is not asked, and for what codex has no words for."""
        call = self._asked.get(request_id)
        if call is None:
            raise ProviderError("invalid", f"it does not ask {request_id!r} (any longer)")
        self._peer.answer(call.id, _answer(call, decision))
        del self._asked[request_id]

    def resolved(self, request_id: Any) -> Iterator[Event]:
        """The server no longer waits for this one."""
        if self._asked.pop(str(request_id), None) is not None:
            yield events.ApprovalSettled(str(request_id))

    def clear(self) -> None:
        self._asked.clear()


def _input(call: Call) -> dict[str, Any]:
    keys = (
        "command",
        "cwd",
        "reason",
        "permissions",
        "questions",
        "serverName",
        "message",
        "requestedSchema",
    )
    return {key: call.params[key] for key in keys if call.params.get(key) is not None}


def _answer(call: Call, decision: Decision) -> dict[str, Any]:
    match call.method:
        case "mcpServer/elicitation/request":
            content = {} if decision.input is None else _object(decision.input)
            return {"action": "accept", "content": content} if decision.allow else {"action": "decline"}
        case "item/tool/requestUserInput":
            return {"answers": _answers(call, decision)}
    if decision.allow and decision.input is not None:
        raise ProviderError("unsupported", "codex runs it as it asked or not at all: deny it instead")
    if call.method == PERMISSIONS:
        granted = inner(call.params, "permissions") if decision.allow else {}
        return {"permissions": {key: granted[key] for key in granted if granted[key] is not None}}
    return {"decision": "accept" if decision.allow else "decline"}


def _answers(call: Call, decision: Decision) -> dict[str, Any]:
    if not decision.allow:
        return {}
    if not decision.reason:
        raise ProviderError("invalid", "it asks a question: give the answer as the reason")
    questions = [text_of(question, "id") or "" for question in objects(call.params, "questions")]
    return {question: {"answers": [decision.reason]} for question in questions}


def _object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ProviderError("invalid", "what is filled in is a JSON object")
    return given


def _title(call: Call) -> str:
    params = call.params
    said = [text_of(params, key) for key in ("serverName", "command", "message", "reason")]
    said += [text_of(question, "question") for question in objects(params, "questions")]
    line = " ".join(f"{TOOLS[call.method]}: {' · '.join(text for text in said if text)}".split())
    return clip(line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1] + "…")
