"""Codex spoken to over `codex app-server`: JSON-RPC lines on stdin and stdout. As run with 0.169.0."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.codex_approvals import Approvals
from spawners.providers.codex_items import Items, held_up
from spawners.providers.codex_usage import Limits, Tokens
from spawners.providers.events import Event
from spawners.providers.headless import check_prompt, value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, objects, text_of
from spawners.providers.jsonrpc import Answer, Call, Notice, Peer

__all__ = ["CHANNEL", "CodexDialogue"]

CHANNEL = "app-server"

SANDBOX = {
    ApprovalMode.READ_ONLY: ("read-only", "readOnly"),
    ApprovalMode.GUARDED: ("workspace-write", "workspaceWrite"),
    ApprovalMode.OPEN: ("danger-full-access", "dangerFullAccess"),
}
"""What the sandbox is called when a thread begins, and from a turn on."""

CLIENT = {
    "clientInfo": {"name": "muster", "version": "1"},
    "capabilities": {"experimentalApi": True},  # for `thread/backgroundTerminals/`
}


class CodexDialogue:
    """One message makes one turn with one answer: what is sent during a turn waits for its end.

    Codex would else work it into the running turn. The server ends a turn when stdin ends, so `finished`
    waits for the last one. Another model or mode holds from the next turn on.

    An interrupt ends the turn, but codex leaves the commands running that it has started; they are ended
    by name. What earlier turns have left in the background stays.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._peer = Peer()
        self._items = Items()
        self._approvals = Approvals(self._peer, self._items)
        self._tokens = Tokens()
        self._limits = Limits()
        self._waiting = collections.deque([] if opening.prompt is None else [opening.prompt])
        self._thread = ""
        self._turn = ""
        self._running = False
        self._interrupting = False
        self._background: frozenset[str] = frozenset()
        self._ending = not opening.keep
        self._broken = False
        self._left: frozenset[str] = frozenset()
        self._mode = opening.approval_mode
        self._overrides: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        self._change = events.Changed()
        self._peer.request("initialize", "initialize", CLIENT)

    # -- what is said

    def take_outgoing(self) -> bytes:
        return self._peer.take_outgoing()

    @property
    def finished(self) -> bool:
        return self._broken or not (self._running or self._waiting or self._left or not self._ending)

    def send(self, text: str) -> None:
        check_prompt("codex", text)
        if self._ending or self._broken:
            raise ProviderError("unsupported", "it takes no more messages: this was its last turn; resume it")
        self._waiting.append(text)
        self._next()

    def interrupt(self) -> None:
        if not self._running:
            raise ProviderError("unsupported", "it is not working on a turn that could be interrupted")
        self._interrupting = True
        self._interrupt()

    def decide(self, request_id: str, decision: Decision) -> None:
        self._approvals.decide(request_id, decision)

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        if model is not None:
            self._overrides["model"] = value("model", model)
        if approval_mode is not None:
            self._mode = approval_mode
            self._overrides["approvalPolicy"] = self._policy()
            self._overrides["sandboxPolicy"] = {"type": SANDBOX[approval_mode][1]}
        self._change = events.Changed(
            model or self._change.model, approval_mode or self._change.approval_mode
        )

    def finish(self) -> None:
        self._ending = True

    def _policy(self) -> str:
        """Without anybody to ask, what the sandbox forbids fails."""
        return "on-request" if self._opening.asks and self._mode is ApprovalMode.GUARDED else "never"

    def _open(self) -> None:
        self._peer.notify("initialized", {})
        thread: dict[str, Any] = {
            "cwd": self._opening.cwd,
            "approvalPolicy": self._policy(),
            "approvalsReviewer": "user",
            "sandbox": SANDBOX[self._mode][0],
        }
        if self._opening.model is not None:
            thread["model"] = self._opening.model
        if self._opening.resume is None:
            self._peer.request("thread", "thread/start", thread)
        else:
            earlier = {"threadId": self._opening.resume, "excludeTurns": True}
            self._peer.request("thread", "thread/resume", thread | earlier)

    def _next(self) -> None:
        if not self._waiting or self._running or not self._thread:
            return
        self._running, self._turn, self._interrupting = True, "", False
        self._background = self._items.open
        message = [{"type": "text", "text": self._waiting.popleft()}]
        turn = {"threadId": self._thread, "input": message, **self._overrides}
        self._sent, self._overrides = self._overrides, {}
        self._peer.request("turn", "turn/start", turn)

    def _interrupt(self) -> None:
        if self._interrupting and self._turn:
            self._interrupting = False
            turn = {"threadId": self._thread, "turnId": self._turn}
            self._peer.request("interrupt", "turn/interrupt", turn)

    # -- what is heard

    def feed(self, data: bytes) -> list[Event]:
        heard: list[Event] = []
        for message in self._peer.feed(data):
            match message:
                case Answer():
                    heard += self._answered(message)
                case Call():
                    heard += self._approvals.asked(message, allowed=self._opening.asks)
                case Notice():
                    heard += self._noticed(message.method, message.params)
        return heard

    def end(self) -> list[Event]:
        return []

    def _answered(self, answer: Answer) -> Iterator[Event]:
        if answer.error is not None:
            yield from self._refused(answer.tag, text_of(answer.error, "message") or "unknown error")
            return
        match answer.tag:
            case "initialize":
                self._open()
            case "thread":
                self._thread = text_of(inner(answer.result, "thread"), "id") or ""
                self._broken = not self._thread
                yield events.SessionStarted(self._thread or None, text_of(answer.result, "model"))
                self._next()
            case "turn":
                self._turn = self._turn or text_of(inner(answer.result, "turn"), "id") or ""
                self._interrupt()
                if self._change != events.Changed():
                    yield self._change
                    self._change = events.Changed()
            case "left":
                for terminal in objects(answer.result, "data"):
                    if terminal.get("itemId") in self._left:
                        process = {"threadId": self._thread, "processId": terminal.get("processId")}
                        self._peer.request("end", "thread/backgroundTerminals/terminate", process)
                self._left = frozenset()

    def _refused(self, tag: str, error: str) -> Iterator[Event]:
        if tag == "left":
            self._left = frozenset()
        if tag in ("left", "end", "interrupt"):
            return  # it has ended before
        if tag in ("initialize", "thread"):
            self._broken = True
        if tag == "turn":
            self._overrides = self._sent | self._overrides  # it has not taken them
        yield from self._over(events.TurnEnded(status="failed", error=error))

    def _noticed(self, method: str, params: Line) -> Iterator[Event]:
        ours = params.get("threadId") == self._thread
        match method:
            case "turn/started" if ours:
                self._tokens.begin()
                yield events.TurnStarted()
            case "turn/completed" if ours:
                yield from self._over(_ended(inner(params, "turn")))
            case "item/started":
                yield from self._in_turn(self._items.started(inner(params, "item")))
            case "item/completed":
                yield from self._in_turn(self._items.completed(inner(params, "item"), says=ours))
            case "serverRequest/resolved":
                yield from self._approvals.resolved(params.get("requestId"))
            case "thread/tokenUsage/updated":
                yield from self._tokens.updated(params, ours=ours)
            case "account/rateLimits/updated":
                self._limits.update(inner(params, "rateLimits"))
            case "error" if ours:
                yield from self._failed(params, inner(params, "error"))

    def _in_turn(self, several: Iterator[Event]) -> list[Event]:
        """Leave out what goes on in the background between turns."""
        heard = list(several)
        return heard if self._running else []

    def _failed(self, params: Line, error: Line) -> Iterator[Event]:
        message = text_of(error, "message") or "unknown error"
        if params.get("willRetry") is True:
            yield from held_up(message) if "Reconnecting" in message else [events.Retrying(message)]
            return
        limited = self._limits.reached(error.get("codexErrorInfo"))
        yield from held_up(message, limited=limited, resets_at_ms=self._limits.resets_at_ms)
        yield events.Problem(message)

    def _over(self, ended: events.TurnEnded) -> Iterator[Event]:
        self._running = self._interrupting = False
        self._approvals.clear()
        self._left = self._items.open - self._background if ended.status == "interrupted" else frozenset()
        if self._left:
            self._peer.request("left", "thread/backgroundTerminals/list", {"threadId": self._thread})
        yield ended
        self._next()


def _ended(turn: Line) -> events.TurnEnded:
    status, error = turn.get("status"), text_of(inner(turn, "error"), "message")
    if status == "completed":
        return events.TurnEnded(status="completed")
    if status == "interrupted":
        return events.TurnEnded(status="interrupted")
    return events.TurnEnded(status="failed", error=error)
