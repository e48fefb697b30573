"""What aider prints without a terminal: lines for people, of which a few can be told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spawners.providers import events
from spawners.providers.base import Opening
from spawners.providers.events import Event, Usage
from spawners.providers.jsonlines import MAX_LINE
from spawners.providers.listening import Silent
from spawners.providers.text import MAX_TEXT

__all__ = ["AiderText"]

MODEL = re.compile(r"(?:Main m|M)odel: (\S+) with ")
ERROR = re.compile(
    r"litellm\.\w+: |Empty response received from LLM|Message file not found|Only \d+ reflections allowed"
)
RETRY = re.compile(r"Retrying in [\d.]+ seconds")
TOKENS = re.compile(
    r"Tokens: (?P<sent>[\d.]+[kM]?) sent,(?: [\d.]+[kM]? cache write,)?"
    r"(?: (?P<hit>[\d.]+[kM]?) cache hit,)? (?P<received>[\d.]+[kM]?) received\."
)
COST = re.compile(r"(?:Tokens: .* )?Cost: .*\$(?P<cost>[\d.,]+) session\.")
UNITS = {"k": 1_000, "M": 1_000_000}


class AiderText(Silent):
    """A head that ends with the map of the repository, then the answer, then a line on its tokens.

    An API failure is a line where the answer should be, with exit code 0. Only an answer is followed by
    its tokens, so the turn is complete with them, unless an error comes later. What comes behind the
    last of them is about edits and commands. aider counts all answers to one message together.
    """

    def __init__(self, opening: Opening) -> None:
        self._model = opening.model
        self._rest = b""
        self._answering = False
        self._answer: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> list[Event]:
        *lines, rest = data.split(b"\n")
        news: list[Event] = []
        for line in lines:
            whole, self._rest = self._rest + line, b""
            news += self._take(whole[:MAX_LINE].decode("utf-8", "replace").rstrip("\r"))
        self._rest = (self._rest + rest)[:MAX_LINE]
        return news

    def end(self) -> list[Event]:
        return self.feed(b"\n") if self._rest else []

    def _take(self, line: str) -> Iterator[Event]:
        if ERROR.match(line):
            yield events.Problem(line.strip())
        elif not self._answering:
            yield from self._head(line)
        elif found := TOKENS.match(line):
            yield from self._finished(found, line)
        elif RETRY.match(line):
            yield events.Retrying(line.strip())
        elif self._length <= MAX_TEXT:
            self._answer.append(line)
            self._length += len(line) + 1

    def _head(self, line: str) -> Iterator[Event]:
        if found := MODEL.match(line):
            self._model = found[1]
        elif line.startswith("Repo-map: "):
            self._answering = True
            yield events.SessionStarted(None, self._model)
            yield events.TurnStarted()

    def _finished(self, found: re.Match[str], line: str) -> Iterator[Event]:
        yield events.Said("\n".join(self._answer).strip("\n"))
        self._answer, self._length = [], 0
        cost = COST.match(line)
        usage = Usage(
            input_tokens=_count(found["sent"]),
            output_tokens=_count(found["received"]),
            cached_input_tokens=_count(found["hit"]),
        )
        yield events.Used(usage, float(cost["cost"].replace(",", "")) if cost else None)
        yield events.TurnEnded(status="completed")


def _count(text: str | None) -> int:
    """`1.2k` → 1200; aider rounds what is large."""
    if not text:
        return 0
    number = float(text.rstrip("kM"))
    return round(number * UNITS.get(text[-1], 1))
