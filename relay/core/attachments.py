"""Viewers of terminals: each is paired with a socket that its agent's host opens for it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from relay.core.changes import host_topic
from relay.core.leases import Leases
from relay.core.ports import Bus
from relay.core.records import AgentRecord
from relay.core.terminals import check_size, need_terminal
from relay.core.tokens import Caller, Tokens
from relay.wire.commands import AttachCommand
from relay.wire.duplex import LINE_LOST, NORMAL, WRONG_MESSAGE, Closed, Duplex, Message, Opening
from relay.wire.endpoints import OPERATORS
from relay.wire.errors import ApiError, Code, ErrorBody
from relay.wire.terminal import Attached, AttachQuery, Notice, Refused

__all__ = ["Attachments"]

MAX_NAME = 64

log = structlog.get_logger("relay.attachments")


@dataclass(slots=True)
class Pair:
    """A viewer, and the socket that its agent's host opens for it. `claimed` once the host has begun to."""

    host_id: str
    command: AttachCommand
    claimed: bool = False
    host: asyncio.Future[Duplex] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Attachments:
    """The viewers of this relay. Nothing that passes is kept: a message is taken from one end only when
    the other has taken the one before it, so that each end feels how fast the other one reads."""

    def __init__(self, bus: Bus, leases: Leases, tokens: Tokens, *, open_timeout_s: float) -> None:
        self._bus = bus
        self._leases = leases
        self._tokens = tokens
        self._open_timeout_s = open_timeout_s
        self._pairs: dict[str, Pair] = {}
        self._closed = False

    def wanted(self, host_id: str, sent: set[str]) -> list[AttachCommand]:
        """Return the requests that the host has not begun to answer and that are not in `sent` yet;
        they are added to it. A new command stream of the host is so given them again."""
        new = [
            pair.command
            for stream_id, pair in self._pairs.items()
            if pair.host_id == host_id and not pair.claimed and stream_id not in sent
        ]
        sent.update(command.stream_id for command in new)
        sent.intersection_update(self._pairs)
        return new

    async def view(self, caller: Caller, record: AgentRecord, query: AttachQuery, viewer: Opening) -> None:
        """Serve a viewer until one of the two ends goes away.

        Raises `ApiError` for one that cannot attach: `forbidden`, `invalid`, `conflict`, `ended`,
        `host_offline`, `unavailable`, `timeout` if the host does not open its end, or what the host
        refused with; `Closed` if the viewer goes away before.
        """
        _check(caller, query)
        host_id = need_terminal(record)
        if record.agent.ended:
            raise ApiError(Code.ENDED, f"agent {record.id} has ended ({record.agent.status})")
        self._leases.need_online(host_id, "its terminals can be reached when it is back")
        if self._closed:
            raise _stopping()
        query = msgspec.structs.replace(query, viewer=query.viewer or caller.shown[:MAX_NAME])
        command = AttachCommand(stream_id=secrets.token_hex(16), agent_id=record.id, query=query)
        pair = self._pairs[command.stream_id] = Pair(host_id, command)
        try:
            self._bus.publish(host_topic(host_id))
            await self._serve(pair, caller, viewer)
        finally:
            self._pairs.pop(command.stream_id, None)
            pair.host.cancel()
            pair.over.set()

    async def _serve(self, pair: Pair, caller: Caller, viewer: Opening) -> None:
        try:
            async with asyncio.timeout(self._open_timeout_s):
                host = await _joined(pair, viewer)
                first = await _first(pair, host)
        except TimeoutError:
            raise ApiError(
                Code.TIMEOUT,
                f"host {pair.host_id} has not opened the terminal within {self._open_timeout_s:.0f} s; "
                "it may be busy or cut off, try again",
            ) from None
        await viewer.accept()
        await viewer.send(first)
        query = pair.command.query
        who = {"agent": pair.command.agent_id, "token": caller.name, "viewer": query.viewer}
        log.info("attached", **who, host=pair.host_id, read_only=query.read_only)
        code, why = await _pass_on(
            host, viewer, read_only=query.read_only, barred=self._tokens.until_invalid(caller)
        )
        log.info("detached", **who, code=code, why=why)
        pair.over.set()  # the host's end is closed at once, the viewer's when it reads again
        await viewer.close(code, why)

    async def join(self, host_id: str, stream_id: str, host: Opening) -> None:
        """Serve the host's end of a viewer's socket.

        Raises `ApiError` `not_found` if nobody waits for this stream (any more).
        """
        pair = self._pairs.get(stream_id)
        if pair is None or pair.host_id != host_id or pair.claimed:
            raise ApiError(Code.NOT_FOUND, "nobody waits for this stream; close what it was to show")
        pair.claimed = True
        await host.accept()
        if not pair.host.done():
            pair.host.set_result(host)
        await pair.over.wait()
        await host.close()

    def close(self) -> None:
        """Let no viewer wait for its host any longer. Open sockets are ended by the server that has them."""
        self._closed = True
        for pair in self._pairs.values():
            if not pair.host.done():
                pair.host.set_exception(_stopping())


def _check(caller: Caller, query: AttachQuery) -> None:
    check_size(query.rows, query.columns)
    if not query.read_only and caller.scope not in OPERATORS:
        raise ApiError(
            Code.FORBIDDEN,
            f"a token of scope {caller.scope} may only watch: attach with readOnly=true (--read-only)",
            needed=sorted(OPERATORS),
        )
    if len(query.viewer) > MAX_NAME or (query.viewer and not query.viewer.isprintable()):
        raise ApiError(Code.INVALID, f"viewer is a name of at most {MAX_NAME} printable characters")


def _stopping() -> ApiError:
    return ApiError(Code.UNAVAILABLE, "the relay is being stopped or restarted; try again")


async def _joined(pair: Pair, viewer: Opening) -> Duplex:
    """Return the host's end once it is open. Raises `Closed` if the viewer goes away meanwhile."""
    left = asyncio.ensure_future(viewer.receive())  # a viewer has nothing to say before it is let in
    either: set[asyncio.Future[Any]] = {left, pair.host}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return pair.host.result() if pair.host.done() else await _gone(left)
    finally:
        left.cancel()
        with contextlib.suppress(asyncio.CancelledError, Closed):
            await left


async def _gone(left: asyncio.Future[Message]) -> Duplex:
    raise Closed(WRONG_MESSAGE, f"{type(await left).__name__} before the socket was open")


async def _first(pair: Pair, host: Duplex) -> Message:
    """Return the host's first message, which lets the viewer in. Raises the `ApiError` it refused with."""
    try:
        message = await host.receive()
        notice = msgspec.json.decode(message, type=Notice)
    except Closed as closed:
        why = f"host {pair.host_id} hung up ({closed}); try again"
        raise ApiError(Code.UNAVAILABLE, why) from None
    except msgspec.DecodeError as error:
        raise ApiError(Code.INTERNAL, f"host {pair.host_id} answered something else: {error}") from None
    if isinstance(notice, Refused):
        raise ApiError.from_body(ErrorBody(error=notice.error))
    if not isinstance(notice, Attached):
        raise ApiError(Code.INTERNAL, f"host {pair.host_id} began with {type(notice).__name__}")
    return message


Ending = tuple[int, str]
"""The code to close a viewer's socket with, and the reason."""


async def _pass_on(
    host: Duplex, viewer: Duplex, *, read_only: bool, barred: Coroutine[Any, Any, None]
) -> Ending:
    """Pass messages on, both ways, until one end has gone, or `barred` returns: the viewer may not stay."""
    down = asyncio.create_task(_down(host, viewer))
    up = asyncio.create_task(_up(viewer, host, down, read_only=read_only))
    bar = asyncio.create_task(_bar(barred))
    tasks = (down, up, bar)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    except Closed as closed:
        return NORMAL, f"by the viewer ({closed.code})"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _down(host: Duplex, viewer: Duplex) -> Ending:
    while True:
        try:
            message = await host.receive()
        except Closed as closed:
            return (closed.code, closed.reason) if closed.final else (LINE_LOST, "the host's line broke")
        await viewer.send(message)
        await asyncio.sleep(0)  # neither line waits while it is fast: let the others have their turn


async def _up(viewer: Duplex, host: Duplex, down: asyncio.Task[Ending], *, read_only: bool) -> Ending:
    while True:
        message = await viewer.receive()
        if read_only and isinstance(message, bytes):
            return WRONG_MESSAGE, "this viewer is attached read-only and cannot type"
        try:
            await host.send(message)
        except Closed:
            return await down  # what the host said last is still to be delivered
        await asyncio.sleep(0)


async def _bar(barred: Coroutine[Any, Any, None]) -> Ending:
    await barred
    return WRONG_MESSAGE, "the token was revoked or has expired"
