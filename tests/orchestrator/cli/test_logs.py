"""`muster logs`: all of it, the end of it, one stream of it, and on."""

from __future__ import annotations

import pytest
from local_api import FakeServer, an_agent, from_offset, output
from muster_command import Muster

from relay.wire.agents import Status
from relay.wire.endpoints import GET_AGENT, READ_OUTPUT
from relay.wire.errors import ApiError, Code
from relay.wire.output import Frame, Kind, gap_frame


def written(daemon: FakeServer, *pieces: tuple[Kind, bytes], last: Kind = Kind.END) -> list[Frame]:
    made = output(*pieces, last=last)
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED if last is Kind.END else Status.RUNNING))
    daemon.on(READ_OUTPUT, lambda call: from_offset(made, call))
    return made


def test_all_of_it_each_stream_to_its_own(muster: Muster, daemon: FakeServer) -> None:
    written(daemon, (Kind.STDOUT, b"a\n"), (Kind.STDERR, b"b\n"), (Kind.STDOUT, b"c"), last=Kind.PAUSE)

    said = muster("logs", "x")

    assert (said.code, said.out, said.err) == (0, b"a\nc", "b\n")


@pytest.mark.parametrize(("stream", "out", "err"), [("stdout", b"a\nc\n", ""), ("stderr", b"", "b\n")])
def test_one_stream_of_it(muster: Muster, daemon: FakeServer, stream: str, out: bytes, err: str) -> None:
    written(daemon, (Kind.STDOUT, b"a\n"), (Kind.STDERR, b"b\n"), (Kind.STDOUT, b"c\n"))

    said = muster("logs", "x", "--stream", stream)

    assert (said.out, said.err) == (out, err)


LINES = b"".join(b"line %d\n" % number for number in range(50_000))


@pytest.mark.parametrize(
    ("lines", "text", "kept"),
    [
        (0, b"a\nb\n", b""),
        (1, b"a\nb\n", b"b\n"),
        (1, b"a\nb", b"b"),
        (2, b"a\nb", b"a\nb"),
        (9, b"a\nb\n", b"a\nb\n"),
        (1, b"", b""),
        (20_000, LINES, b"".join(b"line %d\n" % number for number in range(30_000, 50_000))),
        (1, b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000, b"y" * 1_000_000),
    ],
)
def test_the_last_lines(muster: Muster, daemon: FakeServer, lines: int, text: bytes, kept: bytes) -> None:
    half = len(text) // 2
    written(daemon, *[(Kind.STDOUT, piece) for piece in (text[:half], text[half:]) if piece])

    said = muster("logs", "x", "--tail", str(lines))

    assert (said.code, said.out) == (0, kept)


def test_the_last_lines_read_no_more_than_they_need(muster: Muster, daemon: FakeServer) -> None:
    written(daemon, (Kind.STDOUT, LINES))

    muster("logs", "x", "-n", "3")

    assert [call.query.tail for call in daemon.made(READ_OUTPUT)] == [65536]


def test_tail_and_follow_go_on_where_the_tail_ended(muster: Muster, daemon: FakeServer) -> None:
    made = written(daemon, (Kind.STDOUT, b"a\nb\n"), (Kind.STDOUT, b"c\n"))
    now = [*made[:1], Frame(4, Kind.PAUSE)]
    daemon.on(
        READ_OUTPUT, lambda call: from_offset(made if call.query.follow or call.query.offset else now, call)
    )

    said = muster("logs", "x", "-f", "--tail", "1")

    assert said.out == b"b\nc\n"


def test_from_an_offset(muster: Muster, daemon: FakeServer) -> None:
    written(daemon, (Kind.STDOUT, b"0123456789"))

    assert muster("logs", "x", "--offset", "7").out == b"789"


def test_a_gap_is_said_on_stderr(muster: Muster, daemon: FakeServer) -> None:
    made = [gap_frame(0, 2048), Frame(2048, Kind.STDOUT, b"rest"), Frame(2052, Kind.END)]
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED))
    daemon.on(READ_OUTPUT, lambda call: from_offset(made, call))

    said = muster("logs", "x")

    assert said.out == b"rest"
    assert said.err == "muster: 2.0 KiB of output are gone: the agent wrote more than is kept\n"


def test_output_that_was_deleted_is_not_found(muster: Muster, daemon: FakeServer) -> None:
    daemon.on(GET_AGENT, an_agent(Status.SUCCEEDED))
    daemon.on(READ_OUTPUT, ApiError(Code.NOT_FOUND, "it was deleted to make room"))

    said = muster("logs", "x", "-f")

    assert (said.code, said.err) == (3, "muster: it was deleted to make room\n")
