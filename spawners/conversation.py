"""A dialogue with a running CLI, over its session: survives the daemon that holds it.

What the daemon was told to say is written down, with the place in the output where it was said, before any
of it is written to the CLI. A dialogue is deterministic, so a later daemon that repeats it from the start
wants the same bytes written, and the keeper skips those that the CLI was given before.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from spawners.errors import SessionEnded, SpawnerError
from spawners.failpoint import failpoint
from spawners.frames import MAX_INPUT
from spawners.launch import Chunk, Gap, Resized, Stream
from spawners.providers.base import ApprovalMode, Decision, Dialogue, Opening, ProviderError
from spawners.providers.events import ApprovalSettled, Event, TurnEnded, TurnStarted
from spawners.session import Session

__all__ = ["Conversation", "Journal", "Turns"]

Heard = Callable[[list[Event], int], None]
"""Takes events in order, with when their bytes were written (epoch milliseconds; 0: not known)."""


class Journal:
    """The opening of a dialogue and what was said in it, as JSON lines in a file (0600)."""

    def __init__(self, path: str) -> None:
        self._path = path

    def begin(self, opening: Opening) -> None:
        """Write `opening` down. Raises `OSError`."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self._append({"opening": asdict(opening)}, os.O_TRUNC)

    def add(self, at: int, entry: dict[str, Any]) -> None:
        """Write down that `entry` is said behind byte `at` of the output. Raises `OSError`."""
        self._append({"at": at, **entry}, os.O_APPEND)

    def _append(self, entry: dict[str, Any], flag: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(entry).encode() + b"\n")

    def read(self) -> tuple[Opening | None, list[dict[str, Any]]]:
        """The opening (None: none was written down) and the entries; a half-written last one is cut off,
        for nothing of it was said. Raises `OSError`."""
        try:
            with open(self._path, "r+b") as file:
                found = file.read()
                whole = found.rfind(b"\n") + 1
                if whole < len(found):
                    file.truncate(whole)  # or the next entry would be written behind it, on the same line
        except FileNotFoundError:
            return None, []
        lines = found[:whole].splitlines()
        first, *entries = [json.loads(line) for line in lines] or [{}]
        if "opening" not in first:
            return None, []
        fields = first["opening"]
        return Opening(**{**fields, "approval_mode": ApprovalMode(fields["approval_mode"])}), entries


@dataclass(slots=True)
class Turns:
    """How many turns have begun and ended, and how many messages have not begun one yet."""

    begun: int = 0
    ended: int = 0
    waiting: int = 0

    @property
    def busy(self) -> bool:
        """Whether what is said now has to wait."""
        return self.waiting > 0 or self.begun > self.ended

    def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, TurnStarted):
                self.begun += 1
                self.waiting = max(0, self.waiting - 1)
            elif isinstance(event, TurnEnded):
                self.ended = self.begun


class Conversation:
    """Listens to one agent's stdout and says what its dialogue wants said; `run` does both.

    `heard` is called for every piece of news, also for those an earlier daemon has heard already:
    `caught_up` tells whether all of those have been, `closed` that all was said and stdin was closed. With
    `speaks` false the dialogue only listens.
    """

    def __init__(
        self, session: Session, dialogue: Dialogue, journal: Journal, heard: Heard, *, speaks: bool
    ) -> None:
        self._session = session
        self._dialogue = dialogue
        self._journal = journal
        self._heard = heard
        self._at = 0
        self._said = 0
        self._unsaid = bytearray()
        self._something = asyncio.Event()
        self._moved = asyncio.Event()
        self._broken = ""
        self._speaks = speaks
        self._repeat: collections.deque[dict[str, Any]] = collections.deque()
        self.turns = Turns()
        self.caught_up = asyncio.Event()
        self.closed = asyncio.Event()
        self.agent_id = session.ref.agent_id

    async def run(self) -> None:
        """Go on until the CLI's output has ended, or the session was detached. Cancel it to let go; the CLI
        runs on."""
        writer = asyncio.create_task(self._write()) if self._speaks else None
        try:
            await self._listen()
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

    def over(self) -> None:
        """Note that the program has ended and all it said was heard."""
        news = self._dialogue.end()
        if news:
            self._heard(news, 0)

    async def heard_upto(self, offset: int) -> None:
        """Return once all output before `offset` was heard."""
        while self._at < offset:
            self._moved.clear()
            await self._moved.wait()

    async def taken(self) -> None:
        """Return once every message that was sent has begun a turn."""
        while self.turns.waiting:
            self._moved.clear()
            await self._moved.wait()

    @property
    def said_all(self) -> bool:
        """Whether all that is to be said now has gone into the CLI's input."""
        return not self._unsaid

    def send(self, text: str) -> None:
        """Say `text`. Raises `ProviderError`; nothing was said then."""
        self._do({"do": "send", "text": text})

    def interrupt(self) -> None:
        """End the present turn. Raises `ProviderError`."""
        self._do({"do": "interrupt"})

    def decide(self, request_id: str, decision: Decision, note: str = "") -> None:
        """Answer an approval. `note` is written down with it and comes back in its `ApprovalSettled`, also
        to a later daemon. Raises `ProviderError`."""
        self._do({"do": "decide", "request": request_id, "decision": asdict(decision), "note": note})

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        """Go on with another model or mode. Raises `ProviderError`."""
        self._do({"do": "change", "model": model, "approvalMode": approval_mode})

    def finish(self) -> None:
        """Let the CLI end after its turn. Raises `ProviderError`."""
        self._do({"do": "finish"})

    def _do(self, entry: dict[str, Any]) -> None:
        if not self.caught_up.is_set():
            raise ProviderError("unsupported", "the host is still reading what was said; try again")
        if self._broken:
            raise ProviderError("unsupported", self._broken)
        news = self._apply(entry)  # first, for what cannot be said must not be repeated for ever
        failpoint("before_words_recorded")
        try:
            self._journal.add(self._at, entry)
        except OSError as error:
            self._dialogue.take_outgoing()  # or it would be said with the next word
            self._broken = f"what is said cannot be written down ({error.strerror}); resume it as a new agent"
            raise ProviderError("unsupported", self._broken) from error
        failpoint("after_words_recorded")
        self._take_outgoing()
        if news:
            self._heard(news, 0)

    def _apply(self, entry: dict[str, Any]) -> list[Event]:
        """Tell the dialogue `entry` and return what has happened by that alone."""
        news: list[Event] = []
        match entry["do"]:
            case "send":
                self._dialogue.send(entry["text"])
                self.turns.waiting += 1
            case "interrupt":
                self._dialogue.interrupt()
            case "decide":
                self._dialogue.decide(entry["request"], Decision(**entry["decision"]))
                news.append(ApprovalSettled(entry["request"], entry["note"]))
            case "change":
                mode = entry["approvalMode"]
                self._dialogue.change(entry["model"], ApprovalMode(mode) if mode else None)
            case "finish":
                self._dialogue.finish()
        news += self._dialogue.feed(b"")  # it may wait long for the CLI's next word
        self.turns.take(news)
        self._moved.set()
        return news

    def _take_outgoing(self) -> None:
        self._unsaid += self._dialogue.take_outgoing()
        if self._unsaid or self._dialogue.finished:
            self._something.set()

    async def _listen(self) -> None:
        opening, entries = self._journal.read()
        self._repeat = collections.deque(entries)
        self.turns.waiting += opening is not None and opening.prompt is not None
        self._take_outgoing()
        async for item in self._session.output(0):
            self._hear(item)
        self._repeat_upto(self._at)
        if self._repeat:
            self._broken = "what it was told cannot be repeated; resume it as a new agent"
            self._repeat.clear()
        self.caught_up.set()
        async for item in self._session.output(self._at, follow=True):
            self._hear(item)

    def _hear(self, item: Chunk | Gap | Resized) -> None:
        if isinstance(item, Gap):
            self._broken = "the beginning of its output is gone; resume it as a new agent"
            self._repeat.clear()
        if not isinstance(item, Chunk):
            self._at = item.end
            self._moved.set()
            return
        while self._repeat and self._repeat[0]["at"] < item.end:
            upto = max(self._repeat[0]["at"], self._at)
            self._feed(item, upto)
            self._repeat_upto(upto)
        self._feed(item, item.end)
        self._moved.set()

    def _feed(self, chunk: Chunk, upto: int) -> None:
        """Feed what of `chunk` stands behind what was fed, up to `upto`."""
        data = chunk.data[self._at - chunk.offset : upto - chunk.offset]
        self._at = upto
        if chunk.stream is Stream.STDOUT and data:
            news = self._dialogue.feed(data)
            self._take_outgoing()
            self.turns.take(news)
            if news:
                self._heard(news, chunk.at_ms)

    def _repeat_upto(self, at: int) -> None:
        while self._repeat and self._repeat[0]["at"] <= at:
            with contextlib.suppress(ProviderError):
                news = self._apply(self._repeat.popleft())
                if news:
                    self._heard(news, 0)
            self._take_outgoing()

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                while self._unsaid:
                    piece = bytes(self._unsaid[:MAX_INPUT])
                    await self._session.give(self._said, piece)
                    failpoint("after_words_said")
                    self._said += len(piece)
                    del self._unsaid[: len(piece)]
                if self._dialogue.finished:
                    await self._session.close_stdin()
                    self.closed.set()
                    return
            except SessionEnded:
                return
            except SpawnerError as error:
                self._broken = f"it cannot be reached: {error}"
                return
