"""One connection to a keeper below every client code, and what tests of terminals ask of a session."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from spawners import frames
from spawners._os.loopback import read_address
from spawners.frames import Decoder, Kind
from spawners.launch import Chunk, Resized, SessionRef, Size
from spawners.session import Session

__all__ = ["Peer", "keeper_of", "seen", "seen_until", "sizes_of"]

PATIENCE_S = 60.0


def keeper_of(ref: SessionRef) -> int:
    """The pid of the agent's keeper."""
    return int(json.loads(Path(ref.directory, "child.json").read_text())["keeperPid"])


async def seen_until(session: Session, text: bytes, offset: int = 0) -> bytes:
    """The output from `offset` on, as soon as `text` is in it."""
    found = b""
    async with asyncio.timeout(PATIENCE_S):
        async for piece in session.output(offset, follow=True):
            found += piece.data if isinstance(piece, Chunk) else b""
            if text in found:
                return found
    raise AssertionError(f"the output ended without {text!r}: {found[-2000:]!r}")


async def seen(session: Session, *, follow: bool = True) -> bytes:
    """All of the output, which must come without a gap."""
    found = b""
    async with asyncio.timeout(PATIENCE_S):
        async for piece in session.output(follow=follow):
            assert isinstance(piece, Chunk | Resized), piece
            assert piece.offset == len(found), piece
            found += piece.data if isinstance(piece, Chunk) else b""
    return found


async def sizes_of(session: Session) -> list[Resized]:
    """The sizes that stand in the output up to now."""
    return [piece async for piece in session.output() if isinstance(piece, Resized)]


def connected(address: str) -> socket.socket:
    """A connection to the keeper that listens there."""
    if hasattr(socket, "AF_UNIX"):
        end = socket.socket(socket.AF_UNIX)
        end.connect(address)
        return end
    port, token = read_address(address)
    end = socket.create_connection(("127.0.0.1", port))
    end.sendall(token)
    return end


class Peer:
    """A daemon or a viewer that speaks in frames. Reads nothing that nobody asks it for."""

    def __init__(self, ref: SessionRef) -> None:
        spec = json.loads(Path(ref.directory, "spec.json").read_text())
        self.socket = connected(spec["socket"])
        self.socket.settimeout(PATIENCE_S)
        self._decoder = Decoder()
        self._heard: list[tuple[int, bytes]] = []
        self._ids = 0
        self.hello = self._json(Kind.HELLO)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # -- in

    def hear(self, *kinds: Kind) -> tuple[Kind, bytes]:
        """The next frame of one of these kinds; others are kept for later. Fails if the keeper hangs up."""
        while True:
            for number, (kind, payload) in enumerate(self._heard):
                if kind in kinds:
                    del self._heard[number]
                    return Kind(kind), payload
            data = self.socket.recv(1 << 20)
            if not data:
                raise AssertionError(f"the keeper hung up before {kinds}")
            self._heard += self._decoder.feed(data)

    def _json(self, kind: Kind) -> dict[str, Any]:
        return frames.decode_json(self.hear(kind)[1])

    def answer(self) -> dict[str, Any]:
        """The next DONE or REFUSED; the latter has a `code`."""
        return frames.decode_json(self.hear(Kind.DONE, Kind.REFUSED)[1])

    # -- out

    def say(self, frame: bytes) -> None:
        self.socket.sendall(frame)

    def ask(self, kind: Kind, **fields: Any) -> dict[str, Any]:
        """A request and its answer."""
        self._ids += 1
        self.say(frames.encode_json(kind, {"id": self._ids, **fields}))
        return self.answer()

    def attach(self, name: str, size: Size, *, read_only: bool = False) -> dict[str, Any]:
        return self.ask(Kind.ATTACH, name=name, rows=size.rows, columns=size.columns, readOnly=read_only)

    def keys(self, data: bytes, *, automatic: bool = False) -> None:
        """Type without waiting for the answer."""
        self._ids += 1
        self.say(frames.encode_keys(self._ids, data, automatic=automatic))

    def type(self, data: bytes, *, automatic: bool = False) -> dict[str, Any]:
        self.keys(data, automatic=automatic)
        return self.answer()

    def watch(self, offset: int) -> tuple[int, bytes]:
        """The next output behind `offset`: (offset, bytes), or (end, b"") if it has to be read from disk."""
        self.say(frames.encode_offset(Kind.WATCH, offset))
        kind, payload = self.hear(Kind.DATA, Kind.GREW)
        if kind == Kind.DATA:
            return frames.decode_data(payload)
        return frames.decode_grew(payload)[0], b""
