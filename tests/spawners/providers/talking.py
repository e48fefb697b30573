"""A real CLI, started from its plan as the keeper would start it, and the dialogue with it.

With MUSTER_TEST_RECORD set to a folder, every talk with a `golden` name is written there as
`PROVIDER-VERSION/NAME.talk`: that is how `tests/golden/providers/` came about. Its lines are
`! {json}` what the dialogue was made of or told, `< ` a line that the CLI wrote, `> ` one that it was given,
`= ` an event that was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from streams import outcome
from stub_fixtures import StubModel

from spawners.providers import events
from spawners.providers.base import ApprovalMode, Ask, Decision, Dialogue, Opening, Plan
from spawners.providers.events import Event
from spawners.providers.registry import BUILTIN
from spawners.providers.tally import Outcome

RECORD = os.environ.get("MUSTER_TEST_RECORD")
TURN_S = 90
"""Far above the one or two seconds of a turn, so that a busy machine does not matter."""

Kind = TypeVar("Kind", bound=Event)


@dataclass
class Ran:
    code: int
    outcome: Outcome
    stderr: str


def tell(dialogue: Dialogue, told: dict[str, Any]) -> None:
    """Do what an entry of a talk says, which is what `Talk.tell` was given."""
    match told["do"]:
        case "send":
            dialogue.send(told["text"])
        case "interrupt":
            dialogue.interrupt()
        case "decide":
            dialogue.decide(told["request"], Decision(**told["decision"]))
        case "change":
            mode = told.get("mode")
            dialogue.change(told.get("model"), ApprovalMode(mode) if mode else None)
        case "finish":
            dialogue.finish()


class Talk:
    """One CLI that runs, what was heard from it so far, and the words to say to it."""

    def __init__(self, process: asyncio.subprocess.Process, provider: str, plan: Plan) -> None:
        self.process = process
        self.heard: list[Event] = []
        opening = plan.opening or Opening()
        self.written = [f"! {json.dumps({'opening': asdict(opening)})}"]
        self._seen = 0
        self._half = b""
        self._dialogue = BUILTIN.get(provider).dialogue(opening)
        self._stdin = plan.stdin
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(self._stdin.data)
        if not self._stdin.live:
            self.process.stdin.close()
        self._speak()
        while data := await self.process.stdout.read(65536):
            *whole, self._half = (self._half + data).split(b"\n")
            for line in whole:
                self.written.append(f"< {line.decode()}")
                self._hear(line + b"\n")
            self._speak()
        self._news.set()

    def _hear(self, data: bytes) -> None:
        news = self._dialogue.feed(data)
        self.heard += news
        self.written += [f"= {event}" for event in news]
        if news:
            self._news.set()

    def _speak(self) -> None:
        assert self.process.stdin is not None
        words = self._dialogue.take_outgoing()
        self.written += [f"> {line}" for line in words.decode().split("\n")[:-1]]
        if self._stdin.live and not self.process.stdin.is_closing():
            self.process.stdin.write(words)
            if self._dialogue.finished:
                self.process.stdin.close()

    def tell(self, do: str, **words: Any) -> None:
        """`send text=…`, `interrupt`, `decide request=… decision={…}`, `change model=… mode=…`, `finish`."""
        told = {"do": do, **words}
        tell(self._dialogue, told)
        self.written.append(f"! {json.dumps(told)}")
        self._speak()

    async def until(self, kind: type[Kind]) -> Kind:
        """The next event of this kind behind the one that was returned last."""
        async with asyncio.timeout(TURN_S):
            while True:
                for at in range(self._seen, len(self.heard)):
                    event = self.heard[at]
                    if isinstance(event, kind):
                        self._seen = at + 1
                        return event
                self._seen = len(self.heard)
                assert not self._reading.done(), f"it ended without {kind.__name__}: {self.heard}"
                self._news.clear()
                await self._news.wait()

    async def end(self) -> Ran:
        """How it has ended, once it has done so by itself."""
        assert self.process.stderr is not None
        async with asyncio.timeout(TURN_S):
            _, err = await asyncio.gather(self._reading, self.process.stderr.read())
            code = await self.process.wait()
        return Ran(code, outcome(self.heard), err.decode(errors="replace"))

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def started(ask: Ask, provider: str, golden: str = "") -> AsyncIterator[Talk]:
    """Start what `ask` comes to; killed with its group at the end if it still runs."""
    plan = BUILTIN.get(provider).plan(ask)
    for name, content in plan.files.items():
        Path(ask.state_dir, name).write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        *plan.argv,
        cwd=ask.cwd,
        env=plan.environment(ask.env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=2**24,
    )
    talk = Talk(process, provider, plan)
    try:
        yield talk
    finally:
        await talk.close()
    if RECORD and golden:
        _record(ask, provider, golden, talk)


async def run(ask: Ask, provider: str, golden: str = "") -> Ran:
    async with started(ask, provider, golden) as talk:
        return await talk.end()


def _record(ask: Ask, provider: str, golden: str, talk: Talk) -> None:
    text = "\n".join(talk.written) + "\n"
    scrubbed = {
        ask.cwd: "/home/ann/work",
        ask.state_dir: "/state",
        ask.env["HOME"]: "/home/ann",
        ask.executable or provider: f"/opt/bin/{provider}",
    }
    for found, put in scrubbed.items():
        text = text.replace(found, put)
    folder = Path(str(RECORD), f"{provider}-{BUILTIN.get(provider).proven}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{golden}.talk").write_text(text)


async def five_turns(provider: str, ask: Ask, model: StubModel) -> None:
    """Five turns of one process: approved, denied, interrupted, refused by the model, answered."""
    asks = replace(ask, prompt="NONCE=one RUN=<<touch made>>", conversation=True, asks=True)
    statuses = []
    async with started(asks, provider, golden="conversation") as talk:
        asking = await talk.until(events.ApprovalAsked)
        talk.tell("decide", request=asking.id, decision={"allow": True})
        statuses.append((await talk.until(events.TurnEnded)).status)
        talk.tell("send", text="NONCE=two RUN=<<touch denied>>")
        denied = await talk.until(events.ApprovalAsked)
        talk.tell("decide", request=denied.id, decision={"allow": False})
        statuses.append((await talk.until(events.TurnEnded)).status)
        talk.tell("send", text="NONCE=three SLOW=60")
        await asyncio.to_thread(asked_for, model, "NONCE=three")
        talk.tell("interrupt")
        statuses.append((await talk.until(events.TurnEnded)).status)
        talk.tell("send", text="FAIL=400")
        failed = await talk.until(events.TurnEnded)
        talk.tell("send", text="NONCE=five")
        talk.tell("finish")
        ran = await talk.end()

    assert statuses == ["completed", "completed", "interrupted"]
    assert (failed.status, "stub failure" in (failed.error or "")) == ("failed", True), failed
    assert "touch made" in asking.input
    assert (ran.code, ran.outcome.text, ran.outcome.error) == (0, "PONG five", None), ran
    assert os.listdir(ask.cwd) == ["made"]


def asked_for(model: StubModel, text: str) -> None:
    while not any(text in said for said in model.request()["users"]):
        pass
