"""Say something to a headless conversation, and let one end."""

from __future__ import annotations

import asyncio

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.reach import Reach
from orchestrator.commands.speaking import ready
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import Receipt, SendRequest, SendResult
from spawners.conversation import Conversation
from spawners.providers.base import ProviderError

__all__ = ["converse", "finish"]

MAX_TEXT = 900 * 1024


async def converse(reach: Reach, record: AgentRecord, request: SendRequest) -> SendResult:
    """Say `request.text` to the agent and return what is known of it then.

    It is written down before it is said, so it is said exactly once, whatever happens to this daemon.
    Raises `ApiError` as long as nothing was said: `invalid` for what no conversation takes, `conflict` for
    an agent that takes no messages, `busy` just after the daemon's start, `ended`.
    """
    text = _text(request)
    conversation = _held(reach, record)
    await ready(conversation)
    queued = conversation.turns.busy
    try:
        conversation.send(text)
    except ProviderError as error:
        raise ApiError(Code.CONFLICT, f"agent {record.id}: {error.message}; nothing was said") from None
    size = len(text.encode())
    if queued:
        evidence = "a turn is running; this is written down and begins the next one when that is over"
        return SendResult(receipt=Receipt.QUEUED, evidence=evidence, bytes=size)
    receipt, evidence = await _evidence(conversation, request.timeout_ms / 1000)
    return SendResult(receipt=receipt, evidence=evidence, bytes=size)


async def finish(reach: Reach, record: AgentRecord) -> None:
    """Let a conversation end once its turn is over. Raises `ApiError` `conflict` for any other agent."""
    conversation = _held(reach, record)
    await ready(conversation)
    try:
        conversation.finish()
    except ProviderError as error:
        raise ApiError(Code.CONFLICT, f"agent {record.id}: {error.message}") from None


def _held(reach: Reach, record: AgentRecord) -> Conversation:
    if not record.agent.conversation:
        raise ApiError(
            Code.CONFLICT,
            f"agent {record.id} has no terminal and holds no conversation: give it stdin with input, or "
            f"spawn it with conversation or in mode embedded{_later(record)}",
        )
    return reach.conversation(record.id)[1]


def _later(record: AgentRecord) -> str:
    if record.agent.provider_session_id is None:
        return ""
    return f"; `muster resume {record.id} TEXT` goes on with it once it has ended"


def _text(request: SendRequest) -> str:
    if request.keys or request.force or not request.submit:
        raise ApiError(Code.INVALID, "keys, force and submit are for terminals; this is a conversation")
    if not request.text or not request.text.strip():
        raise ApiError(Code.INVALID, "there is nothing to say: the text is empty")
    if len(request.text.encode("utf-8", "replace")) > MAX_TEXT:
        raise ApiError(
            Code.TOO_LARGE, f"a message has at most {MAX_TEXT} bytes; put it into a file and name that"
        )
    return request.text


async def _evidence(conversation: Conversation, timeout_s: float) -> tuple[Receipt, str]:
    try:
        async with asyncio.timeout(timeout_s):
            await conversation.taken()
    except TimeoutError:
        if conversation.said_all:
            return Receipt.TYPED, f"its CLI was given it and has begun no turn within {timeout_s:g} s"
        waits = "it is written down, and given when it does"
        return Receipt.UNKNOWN, f"its CLI has read nothing within {timeout_s:g} s; {waits}"
    return Receipt.SUBMITTED, "its CLI has begun a turn with it"
