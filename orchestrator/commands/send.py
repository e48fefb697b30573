"""Send one message, or keys, to a program in a terminal, when nobody else has the keyboard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.commands.converse import converse
from orchestrator.commands.reach import Reach
from orchestrator.commands.turns import turn_of
from relay.wire.agents import Mode
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import Receipt, SendRequest, SendResult
from spawners.errors import NoTerminal, SessionBusy, SessionEnded, SessionTyping, SpawnerError
from spawners.keys import UnknownKey, key_bytes
from spawners.message import Unsendable, clean
from spawners.providers.manifest import Activity
from spawners.screen.base import Modes
from spawners.session import Session
from spawners.typist import Delivery, Typist

__all__ = ["send_message"]

MAX_KEYS = 256
MAX_MS = 300_000
MAX_TEXT = 900 * 1024
"""Bytes of a message; a keeper takes 1000 KiB in one piece."""

POLL_S = 0.1
"""No event tells that a person has let go of the keyboard."""

LOOK_S = 1.0
"""A person may keep the keyboard for half a minute; that the agent has ended is noticed before that."""


async def send_message(reach: Reach, reference: str, request: SendRequest) -> SendResult:
    """Type what `request` holds into the agent's terminal, or say it to a conversation; tell the outcome.

    Raises `ApiError` as long as nothing was typed: `invalid` for what cannot be typed, `conflict` for an
    agent without a terminal and for one that asks a person something, `busy` while a person types or the
    program is not ready, `ended`.
    """
    record, session = reach.running(reference)
    if record.agent.mode is Mode.HEADLESS:
        return await converse(reach, record, request)
    text = _checked(request)
    turn = _Turn(reach.typist(record.id), session, request)
    try:
        async with turn.alone():
            delivery = await turn.take(text)
            last_line = await turn.last_line()
    except (Unsendable, UnknownKey) as error:
        raise ApiError(Code.INVALID, str(error)) from None
    except SessionEnded:
        raise ApiError(Code.ENDED, f"agent {record.id} has just ended; nothing was typed") from None
    except NoTerminal as error:
        raise ApiError(Code.CONFLICT, str(error)) from None
    except SessionBusy as error:
        raise ApiError(Code.BUSY, str(error)) from None
    except SpawnerError as error:
        raise ApiError(Code.INVALID, str(error)) from None
    return SendResult(
        receipt=Receipt(delivery.became),
        evidence=delivery.evidence,
        waited_ms=round(turn.waited_s * 1000),
        bytes=delivery.bytes,
        last_line=last_line,
    )


def _checked(request: SendRequest) -> str | None:
    """Return the text to send, None for keys. Raises `ApiError`."""
    if (request.text is None) == (not request.keys):
        raise ApiError(Code.INVALID, "give text or keys, one of them")
    if not (0 <= request.wait_ms <= MAX_MS and 0 < request.timeout_ms <= MAX_MS):
        raise ApiError(Code.INVALID, f"waitMs is from 0 and timeoutMs from 1 to {MAX_MS}")
    if len(request.keys) > MAX_KEYS:
        raise ApiError(Code.TOO_LARGE, f"{len(request.keys)} keys at once; at most {MAX_KEYS} can be sent")
    try:
        if request.text is None:
            for key in request.keys:
                key_bytes(key, Modes(kitty_keyboard=1))
            return None
        text = clean(request.text)
    except ValueError as error:
        raise ApiError(Code.INVALID, str(error)) from None
    if len(text.encode()) > MAX_TEXT:
        raise ApiError(
            Code.TOO_LARGE, f"a message has at most {MAX_TEXT} bytes; put it into a file and name that"
        )
    return text


class _Turn:
    """Waits until `request` may be typed, then has it typed."""

    def __init__(self, typist: Typist, session: Session, request: SendRequest) -> None:
        self._typist = typist
        self._session = session
        self._request = request
        self._asked = asyncio.get_running_loop().time()
        self.waited_s = 0.0

    @property
    def _left_s(self) -> float:
        return self._asked + self._request.wait_ms / 1000 - asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold the terminal's turn. Raises `ApiError` `busy` if another message is too long about it."""
        lock = turn_of(self._session)
        if lock.locked():
            try:
                async with asyncio.timeout(max(0.0, self._left_s)):
                    await lock.acquire()
            except TimeoutError:
                raise ApiError(Code.BUSY, "another message is still being typed; nothing was typed") from None
        else:
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    async def take(self, text: str | None) -> Delivery:
        """Type it as soon as that may be; a person who begins to type just before it goes first again."""
        request, timeout_s = self._request, self._request.timeout_ms / 1000
        while True:
            await self._free()
            self.waited_s = asyncio.get_running_loop().time() - self._asked
            try:
                if text is None:
                    return await self._typist.press(request.keys, timeout_s)
                return await self._typist.send(
                    text, submit=request.submit, force=request.force, timeout_s=timeout_s
                )
            except SessionTyping as typing:
                await self._wait(typing.free_in_ms / 1000, str(typing))

    async def last_line(self) -> str:
        with contextlib.suppress(SpawnerError):
            return (await self._typist.see()).cursor_line
        return ""

    async def _free(self) -> None:
        """Return once neither a person nor the program's state stands in the way. Raises `ApiError`."""
        while True:
            state = await self._session.terminal()
            if state.typing:
                await self._wait(state.free_in_ms / 1000, f"{state.typing} is typing into the terminal")
                continue
            if self._request.force:
                return
            if state.hidden_input:
                raise ApiError(
                    Code.CONFLICT,
                    "it seems to ask for a password (its input is hidden): attach to answer it, or use force",
                )
            if await self._ready():
                return

    async def _ready(self) -> bool:
        """Whether the program's screen takes a message; waits a moment if it is not known yet."""
        seen = await self._typist.see()
        if self._typist.asks(seen):
            seen = await self._typist.still()
        question, judged = self._typist.asks(seen), self._typist.judge(seen)
        if question:
            raise ApiError(
                Code.CONFLICT,
                f"the agent {question}: attach to answer it, or use force to type into it",
                activity=Activity.BLOCKED,
            )
        if judged is None or judged.activity is not Activity.NO_SIGNAL or self._request.keys:
            return True
        await self._wait(
            POLL_S, f"the agent is not ready, it {judged.reason}; look at its screen, or use force"
        )
        return False

    async def _wait(self, seconds: float, why: str) -> None:
        """Wait that long, at most for as long as the request will. Raises `ApiError` `busy` after that."""
        if self._left_s <= 0:
            raise ApiError(Code.BUSY, f"{why}; nothing was typed", waitedMs=self._request.wait_ms)
        await asyncio.sleep(min(max(seconds, POLL_S), LOOK_S, self._left_s))
