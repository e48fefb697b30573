"""The Agent Client Protocol, version 1, from the client's side: JSON-RPC lines over a CLI's stdin and stdout.

As run with gemini 0.61.0, qwen 0.15.10, copilot 1.0.102 and opencode 1.18.33.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.acp_calls import CANCELLED, Permission, ToolCalls
from spawners.providers.acp_session import Habits, Session
from spawners.providers.acp_usage import Spent, usage_of
from spawners.providers.base import ApprovalMode, Ask, Decision, Opening, ProviderError
from spawners.providers.events import Event
from spawners.providers.headless import value
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import inner, text_of
from spawners.providers.jsonrpc import METHOD_NOT_FOUND, Answer, Call, Message, Peer

__all__ = ["Acp", "Habits", "opening_of"]

CUT = {
    "max_tokens": "the answer was cut off: it reached the model's limit of tokens",
    "max_turn_requests": "it reached its limit of turns",
    "refusal": "the model refused to answer",
}
"""Ends of a turn that are none."""

MAX_ANSWER = 1000
"""Characters of an answer that are kept to look for a failure in; the whole of it is the tally's."""


def opening_of(ask: Ask) -> Opening:
    """How a dialogue over ACP begins that does what `ask` wants; only in guarded somebody is asked.

    Raises `ProviderError` for a session to resume that is none.
    """
    return Opening(
        channel="acp",
        prompt=ask.prompt,
        cwd=ask.cwd,
        model=ask.model,
        approval_mode=ask.approval_mode,
        resume=None if ask.resume is None else value("session id", ask.resume),
        keep=ask.conversation,
        asks=ask.asks and ask.approval_mode is ApprovalMode.GUARDED,
    )


class Acp:
    """Opens a session, or loads the one to resume, and prompts it with one message after the other.

    A message that comes during a turn is said when that has ended; an interrupt ends the turn, not
    what waits behind it. Leave is given for one call at a time. In read-only nothing is asked for:
    what needs leave is denied, and to leave that mode is among it.
    """

    def __init__(self, opening: Opening, habits: Habits) -> None:
        self._opening = opening
        self._habits = habits
        self._peer = Peer()
        self._session = Session(self._peer, opening, habits)
        self._queue = collections.deque([] if opening.prompt is None else [opening.prompt])
        self._ending = not opening.keep
        self._turn = self._cancelled = False
        self._permissions: dict[str, Permission] = {}
        self._tools = ToolCalls()
        self._spent = Spent()
        self._answer = ""
        self._message: str | None = None
        self._news: list[Event] = []

    def feed(self, data: bytes) -> list[Event]:
        for message in self._peer.feed(data):
            self._news.extend(self._take(message))
            self._prompt()
        news, self._news = self._news, []
        return news

    def take_outgoing(self) -> bytes:
        return self._peer.take_outgoing()

    @property
    def finished(self) -> bool:
        done = self._ending and not self._turn and not self._queue
        return done or self._session.broken is not None

    def send(self, text: str) -> None:
        if self._session.broken is not None:
            raise ProviderError("unsupported", f"it takes no message: {self._session.broken}")
        if self._ending:
            raise ProviderError(
                "unsupported",
                "it ends after its turn and takes no message (spawn it with conversation for more)",
            )
        self._queue.append(text)
        self._prompt()

    def interrupt(self) -> None:
        """Raises `ProviderError` if it is in no turn."""
        if not self._turn:
            raise ProviderError("unsupported", "it is in no turn that could be interrupted")
        self._cancelled = True
        self._peer.notify("session/cancel", {"sessionId": self._session.id})
        for permission in self._permissions.values():
            self._peer.answer(permission.call.id, CANCELLED)
        self._news.extend(self._settled())

    def decide(self, request_id: str, decision: Decision) -> None:
        permission = self._permissions.get(request_id)
        if permission is None:
            raise ProviderError("invalid", f"it does not ask {request_id!r} (any longer)")
        self._peer.answer(permission.call.id, permission.answer(decision))
        del self._permissions[request_id]

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        self._session.change(model, approval_mode)

    def finish(self) -> None:
        self._ending = True

    def end(self) -> list[Event]:
        """A turn that the CLI has not ended itself has no end; without a session nothing has begun."""
        if self._session.open or self._session.broken is not None:
            return []
        return [events.Problem("it ended before its session was open")]

    def _prompt(self) -> None:
        """Say the next message, once nothing has to be settled before it."""
        if self._turn or not self._queue or not self._session.ready:
            return
        self._turn, self._cancelled = True, False
        self._answer, self._message = "", None
        prompt = [{"type": "text", "text": self._queue.popleft()}]
        self._peer.request("prompt", "session/prompt", {"sessionId": self._session.id, "prompt": prompt})
        self._news.append(events.TurnStarted())

    def _take(self, message: Message) -> Iterator[Event]:
        match message:
            case Answer(tag="prompt") as answer:
                yield from self._turn_ended(answer.result, answer.error)
            case Answer() as answer:
                yield from self._answered(answer)
            case Call(method="session/request_permission") as call:
                yield from self._asked(call)
            case Call() as call:
                self._peer.refuse(call.id, METHOD_NOT_FOUND, f"this client has no {call.method}")
            case notice if notice.method == "session/update":
                yield from self._updated(inner(notice.params, "update"))

    def _answered(self, answer: Answer) -> Iterator[Event]:
        was_open = self._session.open
        yield from self._session.answered(answer)
        if self._session.broken is not None:
            yield events.Problem(self._session.broken)
        elif self._session.open and not was_open:
            yield events.SessionStarted(self._session.id, self._session.model)

    def _turn_ended(self, result: Line, error: Line | None) -> Iterator[Event]:
        yield from self._settled()
        yield from self._tools.end()
        usage = self._habits.usage(result)
        if usage is not None:
            yield self._spent.whole(usage) if self._habits.cumulative else self._spent.more(usage)
        reason = text_of(result, "stopReason") or ""
        failure = (
            self._session.words(error) if error is not None else self._habits.failure(result, self._answer)
        )
        if reason == "cancelled" or (self._cancelled and failure is not None):
            yield events.TurnEnded(status="interrupted")
        elif failure is not None or reason in CUT:
            yield events.TurnEnded(status="failed", error=failure or CUT[reason])
        else:
            yield events.TurnEnded(status="completed")
        self._turn = False

    def _settled(self) -> Iterator[Event]:
        for request_id in self._permissions:
            yield events.ApprovalSettled(request_id)
        self._permissions.clear()

    def _updated(self, update: Line) -> Iterator[Event]:
        kind = text_of(update, "sessionUpdate")
        if not self._session.open:
            self._session.history(kind)
            return
        spent = usage_of(inner(update, "_meta"))
        if spent is not None:
            yield self._spent.more(spent)
        match kind:
            case "agent_message_chunk" if self._turn:
                yield from self._said(update)
            case "tool_call" | "tool_call_update" if self._turn:
                yield from self._tools.take(update)
            case "usage_update":
                yield from self._spent.context(update)
            case "current_mode_update":
                yield from self._session.changed_itself(text_of(update, "currentModeId"))

    def _said(self, update: Line) -> Iterator[Event]:
        text, message = text_of(inner(update, "content"), "text"), text_of(update, "messageId")
        if text is None or (self._habits.noise is not None and self._habits.noise.fullmatch(text)):
            return
        note = self._habits.mode_note.fullmatch(text) if self._habits.mode_note is not None else None
        if note is not None:
            yield from self._session.changed_itself(note[1])
            return
        if len(self._answer) < MAX_ANSWER:
            self._answer += text
        yield events.Said(text, piece=message == self._message)
        self._message = message

    def _asked(self, call: Call) -> Iterator[Event]:
        permission = Permission(call)
        if self._cancelled or not self._turn:
            self._peer.answer(call.id, CANCELLED)
        elif not self._opening.asks or self._session.mode is ApprovalMode.READ_ONLY:
            self._peer.answer(call.id, permission.denied())
        else:
            self._permissions[str(call.id)] = permission
            yield from self._tools.ask(str(call.id), inner(call.params, "toolCall"))
