"""How output travels with its streams and gaps intact.

A body of type `application/vnd.muster.output` is a run of frames, each `offset u64, length u32,
kind u8` in network order and then `length` bytes of data. A gap carries its length as a u64 in its
data, because it may be longer than a frame. The body of a reader that asks for anything else is the
plain merged bytes.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "MEDIA_TYPE",
    "Frame",
    "FrameDecoder",
    "Kind",
    "encode_frame",
    "gap_frame",
    "size_frame",
    "time_frame",
]

MEDIA_TYPE = "application/vnd.muster.output"
MAX_FRAME = 4 * 1024 * 1024
_HEADER = struct.Struct("!QIB")
_U64 = struct.Struct("!Q")
_SIZE = struct.Struct("!HH")


class Kind(enum.IntEnum):
    """The first three are streams. `END` says that the agent has ended and this was all;
    `PAUSE` that this is all there is now; `IDLE` only keeps the connection warm. `SIZE` (rows u16,
    columns u16) and `TIME` (epoch milliseconds u64) are sent only to who asks for a timed output."""

    PTY = 0
    STDOUT = 1
    STDERR = 2
    GAP = 3
    END = 4
    PAUSE = 5
    IDLE = 6
    SIZE = 7
    TIME = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """`end` is the offset behind this frame: where to go on reading after a broken connection."""

    offset: int
    kind: Kind
    data: bytes = b""

    @property
    def end(self) -> int:
        if self.kind is Kind.GAP:
            return self.offset + int(_U64.unpack(self.data)[0])
        if self.kind in (Kind.SIZE, Kind.TIME):
            return self.offset
        return self.offset + len(self.data)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a `SIZE` frame."""
        rows, columns = _SIZE.unpack(self.data)
        return rows, columns

    @property
    def at_ms(self) -> int:
        """The time of a `TIME` frame."""
        return int(_U64.unpack(self.data)[0])


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of one frame."""
    return _HEADER.pack(frame.offset, len(frame.data), frame.kind) + frame.data


def gap_frame(start: int, end: int) -> Frame:
    """Return the frame that says that bytes `start` to `end` are gone."""
    return Frame(start, Kind.GAP, _U64.pack(end - start))


def size_frame(offset: int, rows: int, columns: int) -> Frame:
    """Return the frame that says that the terminal has this size from `offset` on."""
    return Frame(offset, Kind.SIZE, _SIZE.pack(rows, columns))


def time_frame(offset: int, at_ms: int) -> Frame:
    """Return the frame that says when what follows was written."""
    return Frame(offset, Kind.TIME, _U64.pack(at_ms))


class FrameDecoder:
    """Takes bytes in pieces of any size and gives whole frames.

    Raises `ValueError` for a frame over 4 MiB or of an unknown kind: the peer speaks something else.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= _HEADER.size:
            offset, length, kind = _HEADER.unpack_from(self._buffer, position)
            if length > MAX_FRAME:
                raise ValueError(f"output frame of {length} bytes; at most {MAX_FRAME} are allowed")
            start = position + _HEADER.size
            if len(self._buffer) - start < length:
                break
            position = start + length
            yield Frame(offset, Kind(kind), bytes(self._buffer[start:position]))
        del self._buffer[:position]
