"""Types for automation: puts a message or keys into a program's terminal and looks for what became of it."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spawners.errors import SessionBusy, SessionEnded, SessionTyping
from spawners.keys import key_bytes
from spawners.launch import Typed
from spawners.message import Seen, pasted, see, stands
from spawners.providers.manifest import Activity, Judgement, Manifest, judge
from spawners.session import Session
from spawners.watch import Watches

__all__ = ["Became", "Delivery", "Typist"]

SUBMIT_DELAY_S = 0.1
"""Between a text and its Enter for a program that nothing is known of: a person is no quicker."""

QUIET_S = 1.0
"""A program that has read the text and painted nothing for so long is not going to show it."""

STILL_S = 0.15
"""A screen that has not changed for so long is no half-painted one."""

POLL_S = 0.1
"""No event tells that the input was read."""

ARRIVAL_S = 0.03
"""The kernel hands input on to the program's side of a terminal from a work queue: until then it counts as
read, and no call tells (under load that takes a few milliseconds)."""

ESCAPE = b"\x1b"
ESCAPE_S = 0.6
"""After Esc, before the next key: programs take both for one with Alt for up to 0.5 s (readline, node)."""

TWICE_S = 0.15
"""Between two Esc that mean something together: copilot forgets the first after half a second."""

REPORT_ALL_KEYS = 8
"""The flag of the kitty keyboard protocol with which Enter too is sent as a sequence."""


class Became(enum.StrEnum):
    """`submitted`: there is evidence that the program took it. `typed`: the program has it in its input.
    `unknown`: neither can be told, or only a part of it went in."""

    SUBMITTED = "submitted"
    TYPED = "typed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message, what that rests on, and how many bytes the terminal took of it."""

    became: Became
    evidence: str
    bytes: int = 0


class Typist:
    """One agent's keyboard for the time of one message; `name` is what its program is called.

    Nothing is ever typed a second time. Whoever uses it sees to it that there is one at a time.
    """

    def __init__(self, session: Session, watches: Watches, name: str, manifest: Manifest | None) -> None:
        self._session = session
        self._watches = watches
        self._name = name
        self._manifest = manifest
        self._bytes = 0

    async def see(self, after: Seen | None = None, timeout_s: float = POLL_S) -> Seen:
        """What the terminal shows now, or as soon as it has changed `after` what was seen."""
        if after is None:
            look = await self._watches.look(self._session)
        else:
            look = await self._watches.changed(self._session, after.offset, timeout_s)
        return see(look.screen, look.offset)

    async def still(self) -> Seen:
        """What the terminal shows once it has been still for a moment, or will not be."""
        look = await self._watches.settle(self._session, STILL_S, 1.0)
        return see(look.screen, look.offset)

    def judge(self, seen: Seen) -> Judgement | None:
        """What the screen says by the program's manifest; None if it has none."""
        if self._manifest is None:
            return None
        judged = judge(self._manifest, seen.title, seen.lines)
        early = self._manifest.bracketed_paste and not seen.modes.bracketed_paste
        if judged.activity is Activity.IDLE and early:
            return Judgement(Activity.NO_SIGNAL, "has not set up its input yet")
        return judged

    def asks(self, seen: Seen) -> str:
        """What the program asks a person on this screen; empty if nothing."""
        judged = self.judge(seen)
        return judged.reason if judged is not None and judged.activity is Activity.BLOCKED else ""

    async def send(self, text: str, *, submit: bool, force: bool, timeout_s: float) -> Delivery:
        """Paste `text`, as `clean` has left it, and submit it; look for evidence up to `timeout_s`.

        Raises `Unsendable`, and as `Session.type` does as long as nothing was typed.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        before = await self.see()
        canonical = (await self._session.terminal()).canonical
        data = pasted(text, before.modes, canonical=canonical)
        if canonical:
            return await self._line(data + (b"\n" if submit else b""), submit, deadline)
        partly = await self._type(data, deadline)
        if partly is not None:
            return partly
        try:
            now, shown, unread = await self._placed(text, before, deadline)
        except SessionEnded:
            return self._delivery(Became.UNKNOWN, f"{self._name} ended before Enter was pressed")
        if unread:
            return self._delivery(
                Became.UNKNOWN, f"{self._name} has not read {unread} bytes of it; Enter was not pressed"
            )
        if not submit:
            where = "it stands at the cursor" if shown else f"{self._name} has read it and does not show it"
            return self._delivery(Became.TYPED, where)
        question = "" if force else self.asks(now)
        if question:
            return self._delivery(
                Became.TYPED, f"{self._name} {question} since then, so Enter was not pressed"
            )
        return await self._submit(text, before, now, shown, deadline)

    async def press(self, keys: Sequence[str], timeout_s: float) -> Delivery:
        """Press `keys` one after the other, each once the one before was read.

        Raises `UnknownKey` before anything is typed, and as `Session.type` does for the first key.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        modes = (await self.see()).modes
        pressed = [key_bytes(key, modes) for key in keys]
        for number, data in enumerate(pressed, 1):
            try:
                partly = await self._type(data, deadline)
            except (SessionTyping, SessionEnded) as error:
                if number == 1:
                    raise
                return self._delivery(
                    Became.UNKNOWN, f"{error}; {number - 1} of {len(keys)} keys were pressed"
                )
            if partly is not None:
                return partly
            unread = await self._unread(deadline)
            if unread:
                words = f"{self._name} has not read {unread} bytes; {number} of {len(keys)} keys were pressed"
                return self._delivery(Became.UNKNOWN, words)
            if data == ESCAPE and number < len(pressed):
                await asyncio.sleep(TWICE_S if pressed[number] == ESCAPE else ESCAPE_S)
        return self._delivery(Became.TYPED, f"{self._name} has read the key{'s' * (len(keys) > 1)}")

    async def _line(self, data: bytes, submit: bool, deadline: float) -> Delivery:
        """Type into a terminal whose line editor is on, as for a shell script that reads an answer."""
        partly = await self._type(data, deadline)
        if partly is not None:
            return partly
        if not submit:
            return self._delivery(Became.TYPED, "it stands unfinished in the terminal's line")
        unread = await self._unread(deadline)
        if unread:
            return self._delivery(Became.UNKNOWN, f"the line was typed, {self._name} has not read it")
        try:
            canonical = (await self._session.terminal()).canonical
        except SessionEnded:
            return self._delivery(Became.SUBMITTED, f"{self._name} has ended after it")
        if not canonical:
            return self._delivery(
                Became.UNKNOWN,
                f"{self._name} has left its line mode meanwhile, which may discard what was typed",
            )
        return self._delivery(Became.SUBMITTED, f"{self._name} has read the line")

    async def _type(self, data: bytes, deadline: float) -> Delivery | None:
        """Type in one piece; return what is to be said if only a part of it went in."""
        left = max(0.1, deadline - asyncio.get_running_loop().time())
        try:
            typed: Typed = await self._session.type(data, timeout_s=left)
        except SessionBusy as busy:
            if not busy.written and not self._bytes:
                raise
            self._bytes += busy.written
            return self._delivery(Became.UNKNOWN, f"only {busy.written} of {len(data)} bytes went in: {busy}")
        self._bytes += typed.written
        return None

    async def _placed(self, text: str, before: Seen, deadline: float) -> tuple[Seen, bool, int]:
        """Wait until the text is read and shown, and the time before its Enter has passed since.

        A busy program takes the text late, and counts from then. Returns the screen, whether it shows
        the text, and how many bytes were not read.
        """
        loop = asyncio.get_running_loop()
        delay_s = self._manifest.submit_delay_s if self._manifest else SUBMIT_DELAY_S
        now, moved = before, loop.time()
        earliest = moved + delay_s
        was_shown = False
        while True:
            seen = await self.see(now)
            moved, now = (loop.time() if seen.offset != now.offset else moved), seen
            shown = stands(text, before, now, self._manifest)
            if shown and not was_shown:
                was_shown, earliest = True, loop.time() + delay_s
            unread = (await self._session.terminal()).unread
            time = loop.time()
            done = not unread and time >= earliest and (shown or time - moved >= QUIET_S)
            if done or time >= deadline:
                return now, shown, unread

    async def _submit(self, text: str, before: Seen, placed: Seen, shown: bool, deadline: float) -> Delivery:
        """Press Enter, and look for what it did."""
        enter = b"\x1b[13u" if placed.modes.kitty_keyboard & REPORT_ALL_KEYS else b"\r"
        try:
            partly = await self._type(enter, deadline)
        except SessionTyping as typing:
            return self._delivery(Became.TYPED, f"Enter was not pressed: {typing}")
        except SessionEnded:
            return self._delivery(Became.UNKNOWN, f"{self._name} ended before Enter was pressed")
        if partly is not None:
            return partly
        was = self.judge(placed)
        try:
            return await self._evidence(text, before, was if was else None, shown, deadline)
        except SessionEnded:
            return self._delivery(Became.SUBMITTED, f"{self._name} has ended after it")

    async def _evidence(
        self, text: str, before: Seen, was: Judgement | None, shown: bool, deadline: float
    ) -> Delivery:
        loop = asyncio.get_running_loop()
        now = await self.see()
        while True:
            state = await self._session.terminal()
            unread = state.unread
            if state.canonical:  # a shell does so for as long as a command runs
                words = f"{self._name} has given the terminal to what it runs"
                return self._delivery(Became.SUBMITTED, words)
            judged = self.judge(now)
            busy = judged is not None and judged.activity is Activity.BUSY
            if busy and was is not None and was.activity is not Activity.BUSY:
                return self._delivery(Became.SUBMITTED, f"{self._name} {judged.reason}" if judged else "")
            there = stands(text, before, now, self._manifest)
            if shown and not unread and not there:
                now = await self.still()
                if not stands(text, before, now, self._manifest):
                    waits = f", {self._name} keeps it until its turn is over" if busy else ""
                    return self._delivery(Became.SUBMITTED, f"its input was cleared{waits}")
            shown = shown or there
            if loop.time() >= deadline:
                return self._nothing_seen(unread, shown)
            now = await self.see(now)

    def _nothing_seen(self, unread: int, shown: bool) -> Delivery:
        if unread:
            return self._delivery(
                Became.UNKNOWN, f"{self._name} has not read {unread} bytes, Enter among them"
            )
        if shown:
            return self._delivery(Became.TYPED, "Enter was pressed, the text still stands at the cursor")
        return self._delivery(Became.TYPED, f"{self._name} has read it all, its screen shows nothing of it")

    async def _unread(self, deadline: float) -> int:
        """Wait until all input was read; return the bytes that were not by the deadline."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ARRIVAL_S)
            try:
                unread = (await self._session.terminal()).unread
            except SessionEnded:
                return 0
            if not unread or loop.time() >= deadline:
                return unread

    def _delivery(self, became: Became, evidence: str) -> Delivery:
        return replace(Delivery(became, evidence), bytes=self._bytes)
