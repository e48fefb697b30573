"""The frames between a daemon and a keeper: pure encoding and decoding, no I/O.

A frame is `!IB` (payload length, kind) and the payload. Control payloads are small JSON objects, data
payloads binary. `keeper.py` imports nothing of ours, so it carries its own copy of the header and the
kinds; `tests/spawners/test_frames.py` proves that both agree. Kinds are never renumbered: a newer daemon
serves older keepers, and the first frame on every connection is HELLO with the keeper's `version`.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterator
from typing import Any

__all__ = [
    "MAX_INPUT",
    "MAX_PASTE",
    "MAX_PAYLOAD",
    "RELEASE",
    "VERSION",
    "Decoder",
    "FrameError",
    "Kind",
    "decode_asked",
    "decode_data",
    "decode_grew",
    "decode_json",
    "decode_sized",
    "encode",
    "encode_answer",
    "encode_give",
    "encode_input",
    "encode_json",
    "encode_keys",
    "encode_offset",
]

VERSION = 1
MAX_PAYLOAD = 1024 * 1024
"""Longest payload either side accepts: far above any real frame, far below what would hurt."""
MAX_INPUT = 64 * 1024
"""Most input bytes in one INPUT frame: what a pipe takes at once on Linux."""

MAX_PASTE = 1000 * 1024
"""Most bytes in one automatic TYPE frame: such a message must not be mixed with anybody's keys."""

_HEADER = struct.Struct("!IB")
_INPUT = struct.Struct("!I")
_OFFSET = struct.Struct("!Q")
_GREW = struct.Struct("!QB")
_GIVE = struct.Struct("!IQ")
_KEYS = struct.Struct("!IB")
_ASKED = struct.Struct("!QQ")
_SIZED = struct.Struct("!QHH")


class Kind(enum.IntEnum):
    """Below 32 from the keeper, from 32 on to the keeper; 16–31 and 48–63 are about terminals."""

    HELLO = 1  # JSON: who this keeper is and how its program stands
    FAILED = 2  # JSON {errno, message, searched}: instead of HELLO, the program could not be executed
    GREW = 3  # u64 end of output, u8 1 = the output has ended; the answer to one WAIT
    DONE = 4  # JSON {id, …}: a request was carried out
    REFUSED = 5  # JSON {id, code, message}: it was not
    EXIT = 6  # JSON: the exit record, on disk already unless `durable` is false
    BORN = 7  # JSON {pid}: the keeper is there and waits for GO before it executes anything

    DATA = 16  # u64 offset, bytes: the answer to WATCH for one who has read everything before it
    ASKED = 17  # u64 from, u64 to: output in that range asks the terminal something (to a responder)
    SIZED = 18  # u64 offset, u16 rows, u16 columns: the terminal has another size (to viewers)

    STATUS = 32  # JSON {id} → DONE with the fields of HELLO
    INPUT = 33  # u32 id, bytes → DONE once the kernel has taken them all
    CANCEL_INPUT = 34  # JSON {id, input} → DONE {written}: forget what is left of that INPUT
    CLOSE_STDIN = 35  # JSON {id}
    SIGNAL = 36  # JSON {id, number}
    STOP = 37  # JSON {id, interruptMs, terminateMs}
    MEMBERS = 38  # JSON {id} → DONE {members: [{pid, started, name}]}
    HOLD = 39  # u64 offset from which rotation spares this connection; RELEASE ends that
    WAIT = 40  # u64 offset → one GREW as soon as the output reaches beyond it or has ended
    COLLECTED = 41  # JSON {id}: the exit record that could not be written is known; the keeper may leave
    GO = 42  # JSON {cpus}: the answer to BORN; to how many CPUs the program is to be confined, or null
    GIVE = 43  # u32 id, u64 offset, bytes: as INPUT; of what was given before nothing is given again
    RESIZE = 48  # JSON {id, rows, columns} → DONE {rows, columns}: of a viewer's terminal, or the agent's
    ATTACH = 49  # JSON {id, name, rows, columns, readOnly} → DONE {rows, columns, spoolEnd}
    TYPE = 50  # u32 id, u8 1 = automatic, bytes → DONE {written, unread}
    WATCH = 51  # u64 offset: as WAIT, but what comes next may be sent along at once (DATA)
    ANSWER = 52  # u64 to, bytes: what the terminal answers to all it was asked up to there
    RESPOND = 53  # JSON {id}: this connection emulates the terminal and answers what it is ASKED
    TERMINAL = 54  # JSON {id} → DONE with the state of the terminal


RELEASE = 2**64 - 1


class FrameError(ValueError):
    """The other side does not speak this protocol; the connection is of no further use."""


def encode(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame. Raises `FrameError` for a payload the other side would refuse."""
    if len(payload) > MAX_PAYLOAD:
        raise FrameError(f"{kind.name} frame of {len(payload)} bytes is over the limit of {MAX_PAYLOAD}")
    return _HEADER.pack(len(payload), kind) + payload


def encode_json(kind: Kind, value: dict[str, Any]) -> bytes:
    """One frame with a JSON object."""
    return encode(kind, json.dumps(value, separators=(",", ":")).encode())


def encode_input(request: int, data: bytes) -> bytes:
    """An INPUT frame; at most `MAX_INPUT` bytes of `data`."""
    if len(data) > MAX_INPUT:
        raise FrameError(f"input of {len(data)} bytes in one frame; the limit is {MAX_INPUT}")
    return encode(Kind.INPUT, _INPUT.pack(request) + data)


def encode_give(request: int, offset: int, data: bytes) -> bytes:
    """A GIVE frame; at most `MAX_INPUT` bytes of `data`."""
    if len(data) > MAX_INPUT:
        raise FrameError(f"input of {len(data)} bytes in one frame; the limit is {MAX_INPUT}")
    return encode(Kind.GIVE, _GIVE.pack(request, offset) + data)


def encode_offset(kind: Kind, offset: int) -> bytes:
    """A HOLD or WAIT frame."""
    return encode(kind, _OFFSET.pack(offset))


def decode_json(payload: bytes) -> dict[str, Any]:
    """The object in a control payload. Raises `FrameError` if there is none."""
    try:
        value = json.loads(payload)
    except ValueError as error:
        raise FrameError(f"control frame without JSON: {error}") from error
    if not isinstance(value, dict):
        raise FrameError("control frame without a JSON object")
    return value


def decode_grew(payload: bytes) -> tuple[int, bool]:
    """End of the output so far, and whether that is its end for good."""
    try:
        end, final = _GREW.unpack(payload)
    except struct.error as error:
        raise FrameError(f"GREW frame of {len(payload)} bytes") from error
    return end, bool(final)


def encode_keys(request: int, data: bytes, *, automatic: bool) -> bytes:
    """A TYPE frame; at most `MAX_INPUT` bytes of `data` from a person, `MAX_PASTE` from a program."""
    if len(data) > (MAX_PASTE if automatic else MAX_INPUT):
        raise FrameError(f"{len(data)} bytes typed in one frame are too many")
    return encode(Kind.TYPE, _KEYS.pack(request, automatic) + data)


def encode_answer(upto: int, data: bytes) -> bytes:
    """An ANSWER frame."""
    return encode(Kind.ANSWER, _OFFSET.pack(upto) + data)


def _unpack(layout: struct.Struct, payload: bytes, name: str) -> tuple[int, ...]:
    try:
        return layout.unpack_from(payload)
    except struct.error as error:
        raise FrameError(f"{name} frame of {len(payload)} bytes") from error


def decode_data(payload: bytes) -> tuple[int, bytes]:
    """Offset and bytes of a DATA frame."""
    (offset,) = _unpack(_OFFSET, payload, "DATA")
    return offset, payload[_OFFSET.size :]


def decode_asked(payload: bytes) -> tuple[int, int]:
    """The range of output in an ASKED frame."""
    first, upto = _unpack(_ASKED, payload, "ASKED")
    return first, upto


def decode_sized(payload: bytes) -> tuple[int, int, int]:
    """Offset, rows and columns in a SIZED frame."""
    offset, rows, columns = _unpack(_SIZED, payload, "SIZED")
    return offset, rows, columns


class Decoder:
    """Cuts a byte stream into frames; holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (kind, payload) of every frame that `data` completes.

        Kinds this version does not know are yielded as plain numbers for the caller to ignore.
        Raises `FrameError` for a length no keeper would send, before waiting for that much.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._buffer)
            if length > MAX_PAYLOAD:
                raise FrameError(f"frame of {length} bytes; the limit is {MAX_PAYLOAD}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload
