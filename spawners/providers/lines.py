"""What a CLI without any event stream prints: its text is the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.definition import LinePatterns
from spawners.providers.events import Event
from spawners.providers.jsonlines import MAX_LINE
from spawners.providers.listening import Silent

__all__ = ["Lines"]


class Lines(Silent):
    """Every line is answer but those that a pattern knows; the end of the output ends the turn.

    A line that is an error makes the turn a failed one, whatever the exit code is.
    """

    def __init__(self, patterns: LinePatterns) -> None:
        self._error = _compiled(patterns.error)
        self._ignored = _compiled(patterns.ignored)
        self._session = _compiled(patterns.session)
        self._rest = b""
        self._begun = self._said = False
        self._problem: str | None = None

    def feed(self, data: bytes) -> list[Event]:
        *lines, rest = data.split(b"\n")
        news: list[Event] = []
        if not self._begun and data:
            self._begun = True
            news += [events.SessionStarted(), events.TurnStarted()]
        for line in lines:
            news += self._take(self._rest + line)
            self._rest = b""
        self._rest = (self._rest + rest)[:MAX_LINE]
        return news

    def end(self) -> list[Event]:
        news: list[Event] = [] if self._begun else [events.SessionStarted(), events.TurnStarted()]
        news += self._take(self._rest) if self._rest else []
        self._rest = b""
        if self._problem is not None:
            return [*news, events.TurnEnded(status="failed", error=self._problem)]
        return [*news, events.TurnEnded(status="completed")]

    def _take(self, raw: bytes) -> Iterator[Event]:
        line = raw.decode("utf-8", "replace").rstrip("\r")
        if self._session is not None and (found := self._session.search(line)):
            yield events.SessionStarted(found[1] if found.re.groups else found[0])
        elif self._error is not None and (found := self._error.search(line)):
            self._problem = found.groupdict().get("said") or line.strip()
            yield events.Problem(self._problem)
        elif self._ignored is None or not self._ignored.search(line):
            yield events.Said(f"\n{line}" if self._said else line, piece=True)
            self._said = True


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern is not None else None
