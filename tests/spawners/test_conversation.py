"""What is said to a CLI is said exactly once and in order, whichever daemon says it.

The CLI is `cat`: its output is all it was ever given.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from spawners.client import KeeperSpawner
from spawners.conversation import Conversation, Journal
from spawners.launch import Chunk, Launch, Stdin
from spawners.providers.base import ApprovalMode, Decision, Opening, ProviderError
from spawners.providers.events import ApprovalSettled, Event, Said
from spawners.providers.listening import Silent
from spawners.session import Session

Scripted = Callable[..., Launch]


class Echoed(Silent):
    """Says its prompt, and `again: X` to each line X it hears that is not such an answer."""

    def __init__(self, opening: Opening) -> None:
        self._outgoing = bytearray()
        self._rest = b""
        self._over = False
        self._say(opening.prompt or "")

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"again"):
                self._say(f"again: {line.decode()}")
        return [Said(line.decode()) for line in lines]

    def take_outgoing(self) -> bytes:
        taken = bytes(self._outgoing)
        self._outgoing.clear()
        return taken

    def _say(self, text: str) -> None:
        self._outgoing += text.encode() + b"\n"

    def send(self, text: str) -> None:
        if not text:
            raise ProviderError("unsupported", "nothing to say")
        self._say(text)

    def decide(self, request_id: str, decision: Decision) -> None:
        self._say(f"{request_id} {decision.allow}")

    def finish(self) -> None:
        self._over = True

    @property
    def finished(self) -> bool:
        return self._over


class Talk:
    """One daemon's hold of the conversation."""

    def __init__(self, session: Session, folder: Path, opening: Opening) -> None:
        self.heard: list[Event] = []
        self._news = asyncio.Event()
        journal = Journal(str(folder / "dialogue.jsonl"))
        self.conversation = Conversation(session, Echoed(opening), journal, self._hear, speaks=True)
        self._running = asyncio.create_task(self.conversation.run())

    def _hear(self, events: list[Event], at_ms: int) -> None:
        self.heard += events
        self._news.set()

    async def hears(self, *texts: str) -> None:
        """Return once every one of `texts` was heard."""
        while not {Said(text) for text in texts} <= {*self.heard}:
            self._news.clear()
            await self._news.wait()

    async def drop(self) -> None:
        """Let go in the middle of whatever it does, as a daemon does that is killed."""
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def end(self) -> None:
        await self._running


@pytest.fixture
async def session(spawner: KeeperSpawner, scripted: Scripted) -> AsyncIterator[Session]:
    started = await spawner.spawn(scripted("cat", stdin=Stdin(live=True)))
    yield started
    await started.detach()


@pytest.fixture
def talk(session: Session, tmp_path: Path) -> Callable[[], Talk]:
    opening = Opening(channel="echo", prompt="hello", approval_mode=ApprovalMode.OPEN)
    Journal(str(tmp_path / "dialogue.jsonl")).begin(opening)
    return lambda: Talk(session, tmp_path, opening)


async def output(session: Session) -> list[str]:
    parts = [item.data async for item in session.output(0, follow=True) if isinstance(item, Chunk)]
    return b"".join(parts).decode().splitlines()


async def test_a_conversation_is_held_and_ended(talk: Callable[[], Talk], session: Session) -> None:
    first = talk()
    await first.hears("again: hello")
    first.conversation.send("more")
    await first.hears("again: more")
    first.conversation.finish()

    await first.end()
    assert await output(session) == ["hello", "again: hello", "more", "again: more"]
    assert (await session.wait()).code == 0


async def test_what_was_written_down_and_not_said_is_said_by_the_next_daemon(
    talk: Callable[[], Talk], session: Session
) -> None:
    first = talk()
    await first.hears("again: hello")
    first.conversation.send("last words")
    await first.drop()  # before the loop has come to writing them

    second = talk()
    await second.hears("again: last words")
    second.conversation.finish()

    await second.end()
    assert await output(session) == ["hello", "again: hello", "last words", "again: last words"]


async def test_nothing_is_said_twice_however_often_the_daemon_dies(
    talk: Callable[[], Talk], session: Session
) -> None:
    expected = ["hello", "again: hello"]
    for number in range(12):
        daemon = talk()
        await daemon.conversation.caught_up.wait()
        daemon.conversation.send(f"word {number}")
        if number % 3:
            await daemon.hears(*[f"word {number}", f"again: word {number}"][: number % 3])
        await daemon.drop()
        expected += [f"word {number}", f"again: word {number}"]
    last = talk()
    await last.hears(*expected)
    last.conversation.finish()
    await last.end()

    said = await output(session)
    assert sorted(said) == sorted(expected)
    assert [line for line in said if line.startswith("word")] == [f"word {n}" for n in range(12)]


async def test_a_decision_settles_its_approval_for_every_daemon(talk: Callable[[], Talk]) -> None:
    first = talk()
    await first.conversation.caught_up.wait()
    first.conversation.decide("r-1", Decision(allow=True))
    await first.hears("r-1 True")
    await first.drop()

    second = talk()
    await second.conversation.caught_up.wait()

    assert ApprovalSettled("r-1") in first.heard
    assert second.heard.count(ApprovalSettled("r-1")) == 1
    await second.drop()


async def test_a_half_written_last_entry_was_never_said(
    talk: Callable[[], Talk], session: Session, tmp_path: Path
) -> None:
    journal = tmp_path / "dialogue.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"at": 0, "do": "send", "te')

    second = talk()
    await second.hears("again: hello")
    second.conversation.send("more")
    await second.drop()
    third = talk()
    await third.hears("again: more")
    third.conversation.finish()
    await third.end()

    assert await output(session) == ["hello", "again: hello", "more", "again: more"]


async def test_what_cannot_be_said_is_refused_and_not_written_down(
    talk: Callable[[], Talk], tmp_path: Path
) -> None:
    only = talk()
    with pytest.raises(ProviderError, match="still reading"):
        only.conversation.send("too early")
    await only.hears("again: hello")
    before = (tmp_path / "dialogue.jsonl").read_bytes()

    with pytest.raises(ProviderError, match="nothing to say"):
        only.conversation.send("")

    assert (tmp_path / "dialogue.jsonl").read_bytes() == before
    await only.drop()


async def test_what_cannot_be_written_down_is_not_said(
    talk: Callable[[], Talk], session: Session, tmp_path: Path
) -> None:
    only = talk()
    await only.hears("again: hello")
    os.replace(tmp_path / "dialogue.jsonl", tmp_path / "gone")
    (tmp_path / "dialogue.jsonl").mkdir()

    with pytest.raises(ProviderError, match="cannot be written down"):
        only.conversation.send("unheard of")
    with pytest.raises(ProviderError, match="cannot be written down"):
        only.conversation.finish()

    await session.give(len("hello\nagain: hello\n"), b"again\n")
    await only.hears("again")
    await session.live_members()  # whatever was written before has arrived by now
    await session.close_stdin()
    await only.end()
    assert await output(session) == ["hello", "again: hello", "again"]


async def test_after_its_output_was_rotated_away_it_is_heard_but_not_spoken_to(
    spawner: KeeperSpawner, scripted: Scripted, tmp_path: Path, fifo: Path
) -> None:
    steps = (f"await:{fifo}", "line:3000000", f"await:{fifo}", "print:end")
    session = await spawner.spawn(scripted(*steps, spool_bytes=1024 * 1024))
    follower = asyncio.ensure_future(anext(session.output(follow=True)))  # until one follows, all is kept
    await asyncio.sleep(0)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    await session.live_members()  # the keeper has heard by now that nobody follows
    await asyncio.to_thread(fifo.write_bytes, b"go")
    await session.grown(2_999_999)
    opening = Opening(channel="echo")
    Journal(str(tmp_path / "dialogue.jsonl")).begin(opening)

    late = Talk(session, tmp_path, opening)
    await late.conversation.caught_up.wait()
    with pytest.raises(ProviderError, match="resume it as a new agent"):
        late.conversation.send("hello")

    await asyncio.to_thread(fifo.write_bytes, b"go")
    await late.hears("end")
    await late.drop()
