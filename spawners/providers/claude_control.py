"""Claude Code spoken to over stdin: `--input-format stream-json` with control requests, as in 2.1.197."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.claude_stream import ClaudeStream
from spawners.providers.events import Event
from spawners.providers.headless import check_prompt, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, objects, text_of
from spawners.providers.text import canonical, clip

__all__ = ["CHANNEL", "ClaudeDialogue", "title"]

CHANNEL = "control"

QUESTION = "AskUserQuestion"
"""A tool that puts questions to the person. It asks for an approval, and takes the answers as its input."""

MODES = {ApprovalMode.GUARDED: "acceptEdits", ApprovalMode.OPEN: "bypassPermissions"}
"""Those a run that was started in `open` can be in. To `read-only` belongs that other tools are not even
there, which only the start can settle, as it can for `open`."""

TITLE_KEYS = ("command", "file_path", "path", "url", "pattern", "query", "prompt", "description")
"""Inputs of tools that say most, in this order."""

MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class _Asked:
    tool: str
    input: Line


class ClaudeDialogue(ClaudeStream):
    """One message makes one turn with one answer: what is sent during a turn waits for its end.

    Left to itself the CLI works such messages into the running turn, or takes several as one, and then
    nobody can tell which was answered, or when all were.
    """

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening = opening
        self._mode = opening.approval_mode
        self._waiting = collections.deque([] if opening.prompt is None else [opening.prompt])
        self._asked: dict[str, _Asked] = {}
        self._changes: dict[str, events.Changed] = {}
        self._outgoing = bytearray()
        self._number = 0
        self._running = False
        self._ending = not opening.keep
        self._next()

    # -- what is said

    def take_outgoing(self) -> bytes:
        taken = bytes(self._outgoing)
        self._outgoing.clear()
        return taken

    @property
    def finished(self) -> bool:
        return self._ending and not self._running and not self._waiting

    def send(self, text: str) -> None:
        check_prompt("claude", text)
        if self._ending:
            raise ProviderError("unsupported", "it takes no more messages: this was its last turn; resume it")
        self._waiting.append(text)
        self._next()

    def interrupt(self) -> None:
        if not self._running:
            raise ProviderError("unsupported", "it is not working on a turn that could be interrupted")
        self._request({"subtype": "interrupt"})

    def decide(self, request_id: str, decision: Decision) -> None:
        asked = self._asked.get(request_id)
        if asked is None:
            raise ProviderError("invalid", f"it does not ask {request_id!r} (any longer)")
        self._respond(request_id, _answer(asked, decision))
        del self._asked[request_id]

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        switches = approval_mode is not None and approval_mode is not self._mode
        if switches and (self._opening.approval_mode is not ApprovalMode.OPEN or approval_mode not in MODES):
            raise ProviderError(
                "unsupported",
                f"claude cannot go from {self._mode} to {approval_mode} while it runs: "
                "stop it and resume it in that mode",
            )
        if model is not None:
            request = self._request({"subtype": "set_model", "model": value("model", model)})
            self._changes[request] = events.Changed(model=model)
        if approval_mode is not None and switches:
            request = self._request({"subtype": "set_permission_mode", "mode": MODES[approval_mode]})
            self._changes[request] = events.Changed(approval_mode=approval_mode)
            self._mode = approval_mode

    def finish(self) -> None:
        self._ending = True

    def _next(self) -> None:
        if self._waiting and not self._running:
            self._running = True
            content = self._waiting.popleft()
            self._write({"type": "user", "message": {"role": "user", "content": content}})

    def _request(self, request: dict[str, Any]) -> str:
        self._number += 1
        name = f"muster-{self._number}"
        self._write({"type": "control_request", "request_id": name, "request": request})
        return name

    def _respond(self, request_id: str, answer: dict[str, Any]) -> None:
        response = {"subtype": "success", "request_id": request_id, "response": answer}
        self._write({"type": "control_response", "response": response})

    def _write(self, message: dict[str, Any]) -> None:
        self._outgoing += json.dumps(message).encode() + b"\n"

    # -- what is heard

    def take(self, line: Line) -> Iterator[Event]:
        match line.get("type"):
            case "control_request":
                yield from self._requested(text_of(line, "request_id") or "", inner(line, "request"))
            case "control_cancel_request":
                request_id = text_of(line, "request_id") or ""
                if self._asked.pop(request_id, None) is not None:
                    yield events.ApprovalSettled(request_id)
            case "control_response":
                response = inner(line, "response")
                changed = self._changes.pop(text_of(response, "request_id") or "", None)
                if changed is not None and response.get("subtype") == "success":
                    yield changed
            case "result":
                yield from super().take(line)
                self._running = False
                self._asked.clear()
                self._next()
            case _:
                if line.get("subtype") == "init":
                    self._running = True  # also by itself, when something in its background is done
                yield from super().take(line)

    def _requested(self, request_id: str, request: Line) -> Iterator[Event]:
        if request.get("subtype") != "can_use_tool":
            error = {"subtype": "error", "request_id": request_id, "error": "not supported here"}
            self._write({"type": "control_response", "response": error})
            return
        tool, given = text_of(request, "tool_name") or "", inner(request, "input")
        if not self._opening.asks or self._mode is ApprovalMode.READ_ONLY:
            self._respond(request_id, {"behavior": "deny", "message": "nobody may approve this here"})
            return
        self._asked[request_id] = _Asked(tool, given)
        yield events.ApprovalAsked(request_id, tool, canonical(given), title(tool, given))


def _answer(asked: _Asked, decision: Decision) -> dict[str, Any]:
    if not decision.allow:
        return {"behavior": "deny", "message": decision.reason or "This was denied."}
    if decision.input is not None:
        return {"behavior": "allow", "updatedInput": _input(decision.input)}
    if asked.tool != QUESTION:
        return {"behavior": "allow", "updatedInput": asked.input}
    if not decision.reason:
        raise ProviderError("invalid", "it asks a question: give the answer as the reason")
    questions = [text_of(question, "question") or "" for question in objects(asked.input, "questions")]
    answers = dict.fromkeys(questions, decision.reason)
    return {"behavior": "allow", "updatedInput": {**asked.input, "answers": answers}}


def _input(text: str) -> Mapping[str, Any]:
    try:
        changed = json.loads(text)
    except (ValueError, RecursionError):
        changed = None
    if not isinstance(changed, dict):
        raise ProviderError("invalid", "the changed input of a tool is a JSON object with all of its fields")
    return changed


def title(tool: str, given: Line) -> str:
    """One line that tells people what `tool` would do with the input `given`."""
    if tool == QUESTION:
        asked = objects(given, "questions")
        said = " ".join(f"{text_of(one, 'question')} ({_labels(one)})" for one in asked)
    else:
        said = next((text for key in TITLE_KEYS if (text := text_of(given, key))), "")
    line = " ".join(f"{tool}: {said}".split()) if said else tool
    return clip(line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1] + "…")


def _labels(question: Line) -> str:
    return ", ".join(text_of(option, "label") or "" for option in objects(question, "options"))
