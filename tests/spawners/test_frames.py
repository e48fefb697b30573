"""The frames, and that the keeper's own small copy of them agrees."""

from __future__ import annotations

import json
import socket

import pytest

from spawners import frames
from spawners.frames import (
    MAX_PAYLOAD,
    Decoder,
    FrameError,
    Kind,
    decode_grew,
    decode_json,
    encode,
    encode_json,
)
from spawners.keeper import connection, files
from spawners.keeper import protocol as keeper


def test_frames_survive_any_cut_of_the_byte_stream() -> None:
    stream = encode_json(Kind.STATUS, {"id": 1}) + encode(Kind.INPUT, b"\0" * 70_000) + encode(Kind.WAIT)
    for size in (1, 2, 5, 7, 4096, len(stream)):
        decoder = Decoder()
        found = [f for at in range(0, len(stream), size) for f in decoder.feed(stream[at : at + size])]
        assert found == [(Kind.STATUS, b'{"id":1}'), (Kind.INPUT, b"\0" * 70_000), (Kind.WAIT, b"")]


def test_a_length_no_keeper_would_send_is_an_error_before_it_is_waited_for() -> None:
    with pytest.raises(FrameError, match="limit"):
        list(Decoder().feed(b"\xff\xff\xff\xff\x01"))
    with pytest.raises(FrameError, match="limit"):
        encode(Kind.INPUT, bytes(MAX_PAYLOAD + 1))
    with pytest.raises(FrameError, match="limit"):
        frames.encode_input(1, bytes(frames.MAX_INPUT + 1))


@pytest.mark.parametrize("payload", [b"", b"[]", b"nonsense", b"\xff", b'"x"'])
def test_a_control_payload_must_be_a_json_object(payload: bytes) -> None:
    with pytest.raises(FrameError):
        decode_json(payload)


def test_a_grew_frame_has_nine_bytes() -> None:
    with pytest.raises(FrameError):
        decode_grew(b"\0" * 8)


def test_the_keepers_copy_agrees() -> None:
    assert frames.VERSION == keeper.VERSION
    assert frames._HEADER.format == keeper.HEADER.format
    assert frames.RELEASE == keeper.RELEASE
    assert frames.MAX_PAYLOAD == keeper.MAX_PAYLOAD
    for kind in Kind:
        assert getattr(keeper, kind.name) == kind


def test_the_keeper_cuts_the_same_frames() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = connection.Connection(theirs)  # type: ignore[arg-type]
        stream = encode_json(Kind.SIGNAL, {"id": 2, "number": 9}) + frames.encode_offset(Kind.HOLD, 77)
        found = [f for at in range(0, len(stream), 3) for f in reader.frames(stream[at : at + 3])]
    assert [kind for kind, _ in found] == [Kind.SIGNAL, Kind.HOLD]
    assert found[1][1] == (77).to_bytes(8, "big")
    with pytest.raises(ValueError, match="long"):
        reader.frames(b"\xff" * 5)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, "x", None, True, False, {}], "é": '\udcff"\\\n\0€', "n": -(2**62)}, [], {}, "x", 0],
)
def test_the_keepers_json_is_json(value: object) -> None:
    assert json.loads(files.dumps(value)) == value
    assert files.loads(json.dumps(value).encode()) == value
    with pytest.raises(ValueError, match="JSON"):
        files.loads(b"")
