"""Answer an approval in a program's own terminal: one key, on the menu that asks, and a look after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.commands import asked
from orchestrator.commands.reach import Reach
from orchestrator.commands.turns import alone
from orchestrator.daemon.observations import Observation
from relay.wire.approvals import Approval
from relay.wire.errors import ApiError, Code
from relay.wire.questions import taken
from spawners.errors import SessionBusy, SessionEnded, SessionTyping, SpawnerError
from spawners.message import FRAME
from spawners.providers.base import Decision
from spawners.providers.manifest import Menu, words_of
from spawners.typist import Became, Typist

__all__ = ["about", "press"]

VERIFY_S = 5.0
"""A program paints over its menu within a few frames of the key; slower than this, something is wrong."""

PAINT_S = 3.0
"""A hook tells of a question before the program paints it."""

PIECE = 24
"""Characters of a tool's argument that are looked for in the menu: few enough to stand on one line."""


async def press(reach: Reach, observation: Observation, settled: Approval, said: Decision) -> None:
    """Give the answer `said` to what `settled` was made of, and have it stand as that once it was taken.

    Exactly one key is pressed, never a second one. Raises `ApiError`: `invalid` for an answer that is
    more than a key, `conflict` if the terminal does not show this question, `busy` while a person types:
    then no key was pressed. `timeout` if it was and the menu is still there.
    """
    menu = _menu(reach, settled, said)
    async with alone(observation.session):
        try:
            await _press(reach, observation, settled, menu.allow if said.allow else menu.deny, menu)
        except SessionEnded:
            raise ApiError(Code.ENDED, f"agent {settled.agent_id} has just ended") from None
        except SpawnerError as error:
            raise _refused(Code.BUSY, f"its terminal cannot be reached ({error})") from None


def _menu(reach: Reach, settled: Approval, said: Decision) -> Menu:
    if said.input is not None:
        raise _refused(Code.INVALID, "a changed input cannot be given by a key")
    manifest = reach.providers.get(settled.provider).manifest()
    if manifest is None or manifest.menu is None:
        raise _refused(Code.CONFLICT, f"which key answers {settled.provider} is not known: attach to it")
    return manifest.menu


async def _press(reach: Reach, observation: Observation, settled: Approval, key: str, menu: Menu) -> None:
    observer = observation.observer
    typist = reach.typist(settled.agent_id)
    if (await observation.session.terminal()).typing:
        raise _refused(Code.BUSY, "a person types into its terminal")
    shown = await _painted(typist, menu)
    if not observer.asks(settled.id):
        raise taken(asked.now(reach.registry, settled))
    _check_shows(shown, settled)
    # First, for its hooks or its screen may tell that it goes on before we have looked.
    observer.answering(msgspec.structs.replace(settled, evidence="it asks no longer after the key"))
    try:
        pressed = await typist.press([key], VERIFY_S)
    except (SessionTyping, SessionBusy) as error:
        observer.unanswered(settled.id)
        raise _refused(Code.BUSY, str(error)) from None
    except SessionEnded:
        raise
    except SpawnerError as error:
        observer.unanswered(settled.id)
        raise ApiError(Code.TIMEOUT, f"whether {key} reached its terminal is unknown: {error}") from None
    evidence = await _gone(typist, menu, shown, observation, settled)
    if not evidence:
        observer.unanswered(settled.id)
        unread = "" if pressed.became is Became.TYPED else f" ({pressed.evidence})"
        raise ApiError(
            Code.TIMEOUT,
            f"{key} was pressed and nothing shows within {VERIFY_S:g} s that it was taken{unread}: "
            f"whether it was answered is unknown, and no key is pressed again: see `muster screen "
            f"{settled.agent_id}`",
        )
    observer.answering(msgspec.structs.replace(settled, evidence=evidence))
    observer.answered(settled.id)


def _check_shows(shown: str, settled: Approval) -> None:
    """Raise `ApiError` `conflict` unless the question that is `shown` is this one."""
    if shown and about(shown, settled.input) and (settled.tool or words_of(shown) == settled.title):
        return
    look = f"`muster screen {settled.agent_id}` shows what it does, `muster attach` answers it"
    raise _refused(Code.CONFLICT, f"its terminal does not show this question as it was asked; {look}")


async def _painted(typist: Typist, menu: Menu) -> str:
    """Return the question that its terminal shows, or will in a moment; empty if it does not."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PAINT_S
    now = await typist.still()
    while not (shown := menu.shown(now.lines)) and loop.time() < deadline:
        await typist.see(now)
        now = await typist.still()
    return shown


async def _gone(typist: Typist, menu: Menu, shown: str, observation: Observation, settled: Approval) -> str:
    """Return what shows that the question was answered; empty if nothing does in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + VERIFY_S
    try:
        now = await typist.see()
        while True:
            if menu.shown(now.lines) != shown:
                now = await typist.still()
                if menu.shown(now.lines) != shown:
                    return "its terminal no longer shows the question"
            if not observation.observer.asks(settled.id):
                return "its hooks say that it goes on"
            if loop.time() >= deadline:
                return ""
            now = await typist.see(now)
    except SessionEnded:
        return "it has ended after the key"
    except SpawnerError:
        return ""


def about(menu: str, arguments: str) -> bool:
    """Whether a `menu` shows anything of the tool's `arguments` (JSON); one without words is any menu's."""
    try:
        words = [*_words(msgspec.json.decode(arguments.encode()))]
    except (msgspec.DecodeError, UnicodeEncodeError):
        return True  # cut in the middle
    shown = FRAME.sub("", menu)
    pieces = [FRAME.sub("", piece)[:PIECE] for word in words for piece in (word, *_parts(word))]
    return not any(pieces) or any(piece in shown for piece in pieces if piece)


def _parts(word: str) -> tuple[str, str]:
    """Its first line, and the last part of a path: menus number lines and shorten paths."""
    return word.strip().partition("\n")[0], word.rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)


def _refused(code: Code, message: str) -> ApiError:
    return ApiError(code, f"{message}; nothing was answered")
