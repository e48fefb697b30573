"""An agent's terminal through a server, which is found again when it or the agent's host goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from orchestrator.cli.viewer.source import Outage
from relay.wire.agents import ManagedAgent
from relay.wire.base import decode, encode
from relay.wire.client import Unreachable
from relay.wire.duplex import Closed
from relay.wire.errors import ApiError, Code, ErrorBody
from relay.wire.sockets import ClientSocket
from relay.wire.terminal import TRY_AGAIN, Attached, Ended, Notice, Refused, Resize, Sized
from spawners.launch import Resized, Size

__all__ = ["RemoteTerminal"]

Dial = Callable[[Size], Awaitable[ClientSocket]]


class RemoteTerminal:
    """A `Source` over the attach socket. `pause` waits a little longer each time it is called in a row."""

    def __init__(self, dial: Dial, pause: Callable[[], Awaitable[None]], size: Size) -> None:
        self._dial = dial
        self._pause = pause
        self._size = size
        self._socket: ClientSocket | None = None
        self.ended: ManagedAgent | None = None
        """The agent as it was when it ended, once the iteration is over; None if only that it has."""

    async def open(self) -> None:
        """Connect for the first time. Raises `ApiError` and `Unreachable`."""
        self._socket = await self._dial(self._size)

    async def __aiter__(self) -> AsyncIterator[bytes | Resized | Outage]:
        while True:
            try:
                if self._socket is None:
                    self._socket = await self._dial(self._size)
                    yield Outage("")
                async for item in self._receive(self._socket):
                    yield item
                break
            except ApiError as error:
                if error.code is Code.ENDED:
                    break
                if error.code not in TRY_AGAIN:
                    raise
                reason = str(error)
            except Unreachable as error:
                reason = str(error)
            except Closed as closed:
                if closed.final:
                    raise Unreachable(f"the line was closed: {closed}") from None
                reason = "the line to its host has broken"
            await self._hang_up()
            yield Outage(f"reconnecting, keys are dropped meanwhile: {reason}")
            await self._pause()

    async def _receive(self, socket: ClientSocket) -> AsyncIterator[bytes | Resized]:
        while True:
            message = await socket.receive()
            if isinstance(message, bytes):
                yield message
                continue
            try:
                notice: Notice = decode(message.encode(), Notice)  # type: ignore[arg-type] # a union
            except msgspec.ValidationError:
                continue  # of a newer server
            if isinstance(notice, Attached | Sized):
                yield Resized(0, Size(notice.rows, notice.columns))
            elif isinstance(notice, Ended):
                self.ended = notice.agent
                return
            elif isinstance(notice, Refused):
                raise ApiError.from_body(ErrorBody(error=notice.error))

    async def type(self, data: bytes) -> None:
        if self._socket is None:
            raise BlockingIOError("the line is down")
        try:
            await self._socket.send(data)
        except Closed:
            raise BlockingIOError("the line is down") from None

    async def resize(self, size: Size) -> None:
        self._size = size
        if self._socket is not None:
            with contextlib.suppress(Closed):
                await self._socket.send(encode(Resize(rows=size.rows, columns=size.columns)).decode())

    async def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def close(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._hang_up()
