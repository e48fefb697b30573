"""Dialogues in which the CLI alone speaks: its prompt went in at the start, its stdout is read."""

from __future__ import annotations

from collections.abc import Iterable

from spawners.providers.base import ApprovalMode, Decision, ProviderError
from spawners.providers.events import Event, Problem
from spawners.providers.jsonlines import Event as Line
from spawners.providers.jsonlines import JsonLines

__all__ = ["Listening", "Silent"]


class Silent:
    """A program whose output has no meaning to us."""

    @property
    def finished(self) -> bool:
        return True

    def feed(self, data: bytes) -> list[Event]:
        return []

    def take_outgoing(self) -> bytes:
        return b""

    def send(self, text: str) -> None:
        raise _one_turn("take another message")

    def interrupt(self) -> None:
        raise _one_turn("be interrupted without ending; stop it instead")

    def decide(self, request_id: str, decision: Decision) -> None:
        raise ProviderError("invalid", f"it does not ask {request_id!r}")

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        raise _one_turn("go on with another model or approval mode")

    def finish(self) -> None:
        """It ends by itself."""

    def end(self) -> list[Event]:
        return []


class Listening(Silent):
    """Reads JSON lines; a provider says in `take` what one of them means."""

    def __init__(self) -> None:
        self._lines = JsonLines()
        self._heard = False

    def feed(self, data: bytes) -> list[Event]:
        news = [event for line in self._lines.feed(data) for event in self.take(line)]
        self._heard = self._heard or bool(news)
        return news

    def end(self) -> list[Event]:
        """A CLI that has said none of it has not done what it was started for, whatever its exit code is."""
        return [] if self._heard else [Problem("it ended without a word of its event stream")]

    def take(self, line: Line) -> Iterable[Event]:
        """What one line says. Never raises."""
        raise NotImplementedError


def _one_turn(what: str) -> ProviderError:
    return ProviderError(
        "unsupported", f"this run has one turn and cannot {what} (spawn it with conversation for more)"
    )
