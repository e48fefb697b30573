"""One connection to a keeper: frames in and out, requests matched with their answers. Knows no files."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any, Protocol, cast

from spawners import _os
from spawners.errors import SessionEnded, SpawnerError, SpawnFailed
from spawners.frames import (
    Decoder,
    FrameError,
    Kind,
    decode_asked,
    decode_data,
    decode_grew,
    decode_json,
    decode_sized,
    encode_answer,
    encode_give,
    encode_input,
    encode_json,
    encode_keys,
    encode_offset,
)

__all__ = ["Line", "LineLost", "LineOwner", "Refused", "dial"]

ANSWER_S = 10.0
"""A keeper answers in microseconds; one that takes longer is stopped or starved, and we say so."""


class LineLost(SpawnerError):
    """The connection ended. That says nothing about the program: look at its directory."""


class Refused(SpawnerError):
    """The keeper refused a request.

    `code` is `busy`, `no_stdin`, `no_terminal`, `read_only`, `typing`, `failed` or `unsupported`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LineOwner(Protocol):
    """Who hears what a keeper says unasked."""

    def on_hello(self, hello: dict[str, Any]) -> None: ...
    def on_grew(self, end: int, final: bool) -> None: ...
    def on_data(self, offset: int, data: bytes) -> None: ...
    def on_sized(self, rows: int, columns: int) -> None: ...
    def on_asked(self, first: int, upto: int) -> None: ...
    def on_exit(self, record: dict[str, Any]) -> None: ...
    def on_lost(self) -> None: ...


class Line(asyncio.Protocol):
    """The daemon's end. `hello` resolves with the keeper's first frame, or fails with `SpawnFailed`.

    `born` resolves before that: with the pid of a keeper that waits for `go`, or with None if it does not.
    """

    def __init__(self) -> None:
        self.owner: LineOwner | None = None
        self.hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.born: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._decoder = Decoder()
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._early: list[tuple[int, bytes]] = []

    @property
    def up(self) -> bool:
        return self._transport is not None

    def own(self, owner: LineOwner) -> None:
        """Hand everything said from now on, and what was said since HELLO, to `owner`."""
        self.owner = owner
        early, self._early = self._early, []
        for kind, payload in early:
            self._handle(kind, payload)
        if not self.up:
            owner.on_lost()

    def close(self) -> None:
        """Hang up; the owner hears nothing more."""
        self.owner = None
        if self._transport is not None:
            self._transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one without inheriting it

    def data_received(self, data: bytes) -> None:
        try:
            for kind, payload in self._decoder.feed(data):
                self._handle(kind, payload)
        except FrameError:
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        failure = LineLost("the keeper closed the connection")
        waiting: list[asyncio.Future[Any]] = [*self._answers.values(), self.hello, self.born]
        self._answers.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(failure)
                future.exception()  # who has gone away need not hear of it
        if not self.lost.done():
            self.lost.set_result(None)
        if self.owner is not None:
            self.owner.on_lost()

    # -- frames

    def _handle(self, kind: int, payload: bytes) -> None:
        if not self.born.done():
            self.born.set_result(decode_json(payload)["pid"] if kind == Kind.BORN else None)
        if kind == Kind.BORN:
            return
        if kind == Kind.HELLO and not self.hello.done():
            self.hello.set_result(decode_json(payload))
        elif kind == Kind.FAILED and not self.hello.done():
            self.hello.set_exception(_failure(decode_json(payload)))
            self.hello.exception()
        elif kind in (Kind.DONE, Kind.REFUSED):
            self._settle(kind, decode_json(payload))
        elif self.owner is None:
            self._early.append((kind, payload))
        elif kind == Kind.DATA:
            self.owner.on_data(*decode_data(payload))
        elif kind == Kind.GREW:
            self.owner.on_grew(*decode_grew(payload))
        elif kind == Kind.SIZED:
            self.owner.on_sized(*decode_sized(payload)[1:])
        elif kind == Kind.ASKED:
            self.owner.on_asked(*decode_asked(payload))
        elif kind == Kind.EXIT:
            self.owner.on_exit(decode_json(payload))
        elif kind == Kind.HELLO:
            self.owner.on_hello(decode_json(payload))

    def _settle(self, kind: int, answer: dict[str, Any]) -> None:
        future = self._answers.pop(answer.get("id", 0), None)
        if future is None or future.done():
            return
        if kind == Kind.DONE:
            future.set_result(answer)
        elif answer.get("code") == "ended":
            future.set_exception(SessionEnded(answer["message"]))
        else:
            future.set_exception(Refused(answer["code"], answer["message"]))

    # -- what can be asked

    async def request(self, kind: Kind, **fields: Any) -> dict[str, Any]:
        """Ask and return the answer. Raises `LineLost`, `SessionEnded`, `Refused`, `TimeoutError`."""
        number = next(self._ids)
        return await self._ask(number, encode_json(kind, {"id": number, **fields}), ANSWER_S)

    async def send_input(self, data: bytes, timeout_s: float) -> int:
        """Put one piece into the program's input; returns how many bytes of it went in in time."""
        number = next(self._ids)
        return (await self._put(number, encode_input(number, data), len(data), timeout_s))[0]

    async def give(self, offset: int, data: bytes) -> None:
        """Give the program the bytes from `offset` of its input on; returns once the kernel has them."""
        number = next(self._ids)
        await self._ask(number, encode_give(number, offset, data), None)

    async def send_keys(self, data: bytes, timeout_s: float | None, *, automatic: bool) -> tuple[int, int]:
        """Put one piece into the program's terminal, of a person or not.

        Returns how many bytes went in in time (always all without a `timeout_s`), and how many of its
        input the program had not read by then.
        """
        number = next(self._ids)
        return await self._put(number, encode_keys(number, data, automatic=automatic), len(data), timeout_s)

    async def _put(self, number: int, frame: bytes, size: int, timeout_s: float | None) -> tuple[int, int]:
        try:
            answer = await self._ask(number, frame, timeout_s)
        except TimeoutError:
            answer = await self.request(Kind.CANCEL_INPUT, input=number)
        written = answer["written"]
        return size if written is None else int(written), int(answer.get("unread", 0))

    def answer(self, upto: int, data: bytes) -> None:
        """What the terminal answers to what it was asked up to `upto`; dropped if the line is down."""
        if self._transport is not None:
            self._transport.write(encode_answer(upto, data))

    async def _ask(self, number: int, frame: bytes, timeout_s: float | None) -> dict[str, Any]:
        if self._transport is None:
            raise LineLost("the keeper closed the connection")
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        self._transport.write(frame)
        try:
            async with asyncio.timeout(timeout_s):  # `wait_for` can lose a cancellation (Python 3.11)
                return await future
        finally:
            self._answers.pop(number, None)

    def go(self, cpus: int | None) -> None:
        """Let a keeper that was born execute its program, confined to `cpus` whole ones if that is given."""
        if self._transport is not None:
            self._transport.write(encode_json(Kind.GO, {"cpus": cpus}))

    def tell(self, kind: Kind) -> None:
        """A request whose answer nobody needs; dropped if the line is down."""
        if self._transport is not None:
            self._transport.write(encode_json(kind, {"id": next(self._ids)}))

    def tell_offset(self, kind: Kind, offset: int) -> None:
        """WAIT, WATCH or HOLD; dropped if the line is down (its owner tells again when it is up)."""
        if self._transport is not None:
            self._transport.write(encode_offset(kind, offset))


def _failure(payload: dict[str, Any]) -> SpawnFailed:
    return SpawnFailed(payload["message"], payload["errno"], tuple(payload["searched"]))


async def dial(path: str) -> Line:
    """Connect to a listening keeper. Raises OSError."""
    return await _os.dial(Line, path)


async def take_up(end: socket.socket) -> Line:
    """A line over our end of a socket pair."""
    end.setblocking(False)
    _, line = await asyncio.get_running_loop().create_connection(Line, sock=end)
    return line
