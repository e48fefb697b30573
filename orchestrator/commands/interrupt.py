"""End an agent's present turn and nothing else: by its CLI's own channel, or by the keys that do so."""

from __future__ import annotations

import asyncio
import contextlib

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from orchestrator.commands.speaking import ready
from orchestrator.commands.turns import alone
from orchestrator.daemon.observations import Observation
from relay.wire.agents import Activity, Mode
from relay.wire.errors import ApiError, Code
from spawners.conversation import Conversation
from spawners.errors import SessionBusy, SessionEnded, SessionTyping
from spawners.providers.base import ProviderError
from spawners.providers.manifest import Activity as Seen
from spawners.providers.manifest import Manifest
from spawners.typist import Typist

__all__ = ["interrupt"]

QUIET_S = 10.0
"""A CLI that ends a turn tells its tools to stop first: some take seconds."""
NOTICED_S = 2.0
"""Terminals that nobody watches are looked at about once a second."""


async def interrupt(reach: Reach, reference: str) -> AgentRecord:
    """End the present turn of an agent and return its record once the turn is over.

    One that works on no turn is returned as it is. Raises `ApiError`: `conflict` for an agent whose turn
    cannot be ended alone and for one in a terminal that asks a person something, `busy` while a person
    types there, `ended`. `timeout` if it was told to and goes on all the same.
    """
    record, observation = reach.observed(reference)
    if observation.conversation is not None:
        return await _tell(reach, record, observation.conversation)
    if record.agent.mode is Mode.HEADLESS:
        raise ApiError(Code.CONFLICT, f"agent {record.id} has no turns to interrupt; stop it instead")
    return await _press(reach, record, observation)


async def _tell(reach: Reach, record: AgentRecord, conversation: Conversation) -> AgentRecord:
    await ready(conversation)
    if _rests(record, conversation):
        return record
    with reach.registry.watch(record.id) as news:
        try:
            conversation.interrupt()
        except ProviderError as error:
            raise ApiError(Code.CONFLICT, f"agent {record.id}: {error.message}") from None
        try:
            async with asyncio.timeout(QUIET_S):
                while True:
                    now = reach.registry.get(record.id) or record
                    if now.agent.ended or _rests(now, conversation):
                        return now
                    await news.get()
        except TimeoutError:
            raise _still(record, "was told to end its turn") from None


def _rests(record: AgentRecord, conversation: Conversation) -> bool:
    """Whether it works on no turn: a rate limit that has ended one holds it up."""
    held = record.agent.activity is Activity.BLOCKED and not conversation.turns.busy
    return held or record.agent.activity is Activity.IDLE


async def _press(reach: Reach, record: AgentRecord, observation: Observation) -> AgentRecord:
    manifest = reach.providers.get(record.agent.provider).manifest()
    if manifest is None or not manifest.interrupt:
        raise ApiError(
            Code.CONFLICT,
            f"which keys interrupt {record.agent.provider} is not known; `muster send --keys` sends any",
        )
    typist = reach.typist(record.id)
    async with alone(observation.session):
        try:
            await _end_turn(typist, manifest, observation, record)
        except (SessionTyping, SessionBusy) as error:
            raise ApiError(Code.BUSY, f"{error}; nothing was pressed") from None
        except SessionEnded:
            raise ApiError(Code.ENDED, f"agent {record.id} has just ended") from None
    return await _noticed(reach, record)


async def _noticed(reach: Reach, record: AgentRecord) -> AgentRecord:
    """Return the agent's record, if possible once that says as well that the turn is over."""
    with reach.registry.watch(record.id) as news, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NOTICED_S):
            while (reach.registry.get(record.id) or record).agent.activity is Activity.BUSY:
                await news.get()
    return reach.registry.get(record.id) or record


async def _end_turn(
    typist: Typist, manifest: Manifest, observation: Observation, record: AgentRecord
) -> None:
    if (await observation.session.terminal()).typing:
        raise ApiError(Code.BUSY, "a person types into its terminal; nothing was pressed")
    seen = await typist.still()
    judged = typist.judge(seen)
    if judged is None or judged.activity is Seen.IDLE:
        return
    if judged.activity is not Seen.BUSY:
        raise ApiError(
            Code.CONFLICT,
            f"agent {record.id} {judged.reason}, so it works on no turn: deny what it asks, or attach to it",
        )
    await typist.press(manifest.interrupt, QUIET_S)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + QUIET_S
    while True:
        judged = typist.judge(seen)
        if judged is not None and judged.activity is not Seen.BUSY:
            judged = typist.judge(await typist.still())
            if judged is not None and judged.activity is not Seen.BUSY:
                return
        if loop.time() >= deadline:
            raise _still(record, f"was sent {' '.join(manifest.interrupt)}")
        seen = await typist.see(seen)


def _still(record: AgentRecord, done: str) -> ApiError:
    return ApiError(
        Code.TIMEOUT,
        f"agent {record.id} {done} and goes on after {QUIET_S:g} s; `muster stop {record.id}` ends it",
    )
