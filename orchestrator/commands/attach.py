"""Attach a viewer to an agent's terminal, over whatever socket the viewer came."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from relay.wire.agents import ENDED, ManagedAgent, Status
from relay.wire.base import encode
from relay.wire.duplex import Duplex
from relay.wire.errors import ApiError, Code
from relay.wire.terminal import (
    MAX_ATTACH_MESSAGE,
    Attached,
    AttachQuery,
    Ended,
    Notice,
    Refused,
    Resize,
    Sized,
)
from spawners.attach import Attachment
from spawners.errors import NoTerminal, SessionEnded, SpawnerError
from spawners.launch import MAX_CELLS, Resized, Size, Viewer

__all__ = ["Viewing", "attach", "refuse", "serve"]

log = structlog.get_logger()

STARTED = frozenset(Status) - {Status.QUEUED, Status.STARTING}
START_S = 10.0
"""An exec takes milliseconds; whoever spawns and attaches at once need not know that."""

RECORD_S = 2.0
"""The record follows the end of the program within milliseconds, or a sweep of its tree."""

TYPED_AHEAD = 4
"""Messages taken from a person ahead of a program that does not read: while they do not fill, it is
noticed that the person has left."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """A viewer that is attached, before anything was shown to it."""

    agent_id: str
    attachment: Attachment
    read_only: bool
    name: str


async def attach(registry: Registry, reference: str, query: AttachQuery) -> Viewing:
    """Attach to the agent's terminal; the caller must go on with `serve`, or close the attachment.

    Raises `ApiError`: `not_found`, `invalid` for an impossible size, `conflict` for an agent on pipes,
    `busy` if it does not start, `ended`, and `unavailable` if its keeper does not answer now.
    """
    size = _size(query.rows, query.columns)
    record = await _started(registry, reference)
    viewer = Viewer(query.viewer or "somebody", size, query.read_only)
    try:
        attachment = await Attachment.open(record.directory, viewer)
    except NoTerminal:
        raise ApiError(
            Code.CONFLICT, f"agent {record.id} runs on pipes and has no terminal; read its output instead"
        ) from None
    except SessionEnded:
        raise ApiError(Code.ENDED, f"agent {record.id} has just ended") from None
    except SpawnerError as error:
        raise ApiError(Code.UNAVAILABLE, f"agent {record.id} cannot be reached now: {error}") from None
    return Viewing(record.id, attachment, query.read_only, viewer.name)


async def _started(registry: Registry, reference: str) -> AgentRecord:
    record = registry.find(reference)
    if record.agent.status not in STARTED:
        record = await registry.until(record.id, STARTED, START_S)
    if record.agent.ended:
        raise ApiError(Code.ENDED, f"agent {record.id} has ended ({record.agent.status})")
    if record.agent.status not in STARTED:
        raise ApiError(Code.BUSY, f"agent {record.id} is still starting; try again")
    return record


def _size(rows: int, columns: int) -> Size:
    size = Size(rows, columns)
    if not size.valid:
        raise ApiError(Code.INVALID, f"a terminal has 1 to {MAX_CELLS} rows and columns")
    return size


async def serve(registry: Registry, viewing: Viewing, socket: Duplex) -> None:
    """Show the terminal and type what the viewer sends, until the agent ends or the viewer leaves.

    Ends with the socket closed, or about to be by whoever cancels it, and the viewer detached.
    Raises `duplex.Closed` if the viewer has left.
    """
    attachment = viewing.attachment
    who = {"agent": viewing.agent_id, "viewer": viewing.name}
    log.info("terminal.attached", **who, read_only=viewing.read_only)
    keys: asyncio.Queue[bytes] = asyncio.Queue(TYPED_AHEAD)
    try:
        rows, columns = attachment.size.rows, attachment.size.columns
        await _tell(
            socket,
            Attached(agent_id=viewing.agent_id, rows=rows, columns=columns, read_only=viewing.read_only),
        )
        await _until_shown(
            asyncio.create_task(_show(attachment, socket)),
            asyncio.create_task(_listen(viewing, socket, keys)),
            asyncio.create_task(_type(attachment, keys)),
        )
        await _end(socket, await _final(registry, viewing.agent_id))
    except SpawnerError as error:
        agent = await _final(registry, viewing.agent_id)
        if agent is not None:
            await _end(socket, agent)
        else:
            why = f"the terminal cannot be shown any more: {error}"
            await refuse(socket, ApiError(Code.UNAVAILABLE, why))
    except ApiError as error:
        await refuse(socket, error)
    finally:
        await attachment.close()
        log.info("terminal.detached", **who)


async def refuse(socket: Duplex, error: ApiError) -> None:
    """Tell the viewer why nothing is shown, or nothing more. Raises `duplex.Closed` if it has left."""
    await _tell(socket, Refused(error=error.body.error))
    await socket.close()


async def _until_shown(show: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Return when all was shown; what any of the tasks raises ends them all."""
    pending: set[asyncio.Task[None]] = {show, *others}
    try:
        while not show.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in (show, *others):
            task.cancel()
        await asyncio.gather(show, *others, return_exceptions=True)


async def _show(attachment: Attachment, socket: Duplex) -> None:
    async for item in attachment:
        if isinstance(item, Resized):
            await _tell(socket, Sized(rows=item.size.rows, columns=item.size.columns))
            continue
        for piece in _pieces(item):
            await socket.send(piece)


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), MAX_ATTACH_MESSAGE):
        yield data[start : start + MAX_ATTACH_MESSAGE]


async def _listen(viewing: Viewing, socket: Duplex, keys: asyncio.Queue[bytes]) -> None:
    while True:
        message = await socket.receive()
        if isinstance(message, str):
            await viewing.attachment.resize(_resized(message))
        elif viewing.read_only:
            raise ApiError(Code.FORBIDDEN, "this viewer is attached read-only and cannot type")
        else:
            await keys.put(message)


def _resized(message: str) -> Size:
    try:
        wanted = msgspec.json.decode(message, type=Resize)
    except msgspec.DecodeError as error:
        raise ApiError(Code.MALFORMED, f"a viewer sends bytes, or the notice `resize`: {error}") from None
    return _size(wanted.rows, wanted.columns)


async def _type(attachment: Attachment, keys: asyncio.Queue[bytes]) -> None:
    """Type one message after the other, so that a program that does not read holds the person back."""
    while True:
        data = await keys.get()
        try:
            await attachment.type(data)
        except SessionEnded:
            return  # what it painted last is still to be shown


async def _final(registry: Registry, agent_id: str) -> ManagedAgent | None:
    """Return the record of an agent whose program has ended, None if that is not written down soon."""
    if registry.get(agent_id) is None:
        return None
    record = await registry.until(agent_id, ENDED, RECORD_S)
    return record.agent if record.agent.ended else None


async def _end(socket: Duplex, agent: ManagedAgent | None) -> None:
    await _tell(socket, Ended(agent=agent))
    await socket.close()


async def _tell(socket: Duplex, notice: Notice) -> None:
    await socket.send(encode(notice).decode())
