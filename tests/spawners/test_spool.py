"""The spool: what the keeper's writer puts on disk, the reader finds again by offset."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from spawners.keeper import spool as keeper
from spawners.launch import Chunk, Gap, Stream
from spawners.spool import Spool

GIB = 1024**3


def read_all(spool: Spool, offset: int = 0, limit: int = 1 << 20) -> list[Chunk | Gap]:
    found: list[Chunk | Gap] = []
    while pieces := spool.read(offset, limit):
        assert pieces[0].offset == offset
        found += pieces
        offset = found[-1].end
    return found


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_nothing_is_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        assert Spool(str(folder)).read(0) == []
        assert (Spool(str(folder)).end, Spool(str(folder)).tail(10)) == (0, 0)


@pytest.mark.parametrize("limit", [1, 3, 1 << 20])
def test_streams_come_back_as_they_were_written(tmp_path: Path, limit: int) -> None:
    writer = keeper.Spool(str(tmp_path), 1 << 20, GIB)
    for kind, data in [(1, b"abc"), (2, b"de"), (2, b"f"), (1, b"ghij")]:
        writer.append(kind, data)
    pieces = read_all(Spool(str(tmp_path)), limit=limit)

    assert b"".join(p.data for p in pieces if isinstance(p, Chunk)) == b"abcdefghij"
    by_offset = {p.offset + i: p.stream for p in pieces if isinstance(p, Chunk) for i in range(len(p.data))}
    assert [by_offset[i] for i in range(10)] == [Stream.STDOUT] * 3 + [Stream.STDERR] * 3 + [
        Stream.STDOUT
    ] * 4


@pytest.mark.parametrize("piece", [1, 100, 5000])
def test_disk_use_is_bounded_and_the_tail_is_kept(tmp_path: Path, piece: int) -> None:
    limit = 40_000
    writer = keeper.Spool(str(tmp_path), limit, limit)
    for number in range(120_000 // piece):
        writer.append(1 + number % 2, b"%07d\n" % number * piece if piece < 8 else os.urandom(piece))
        if number % 199 == 0 or piece > 1000:
            assert on_disk(tmp_path) <= limit + keeper.INDEX.size
    pieces = read_all(Spool(str(tmp_path)))

    assert isinstance(pieces[0], Gap)
    assert pieces[0].end == Spool(str(tmp_path)).tail(1 << 40)
    assert pieces[-1].end == writer.end
    assert not [p for p in pieces[1:] if isinstance(p, Gap)]
    if piece == 5000:
        assert writer.end - pieces[0].end >= limit * 0.7


def test_what_a_follower_holds_is_spared_up_to_the_bound(tmp_path: Path) -> None:
    writer = keeper.Spool(str(tmp_path), 4096, 40_000)
    writer.held = lambda: 0
    for _ in range(30):
        writer.append(1, b"x" * 1000)
    assert Spool(str(tmp_path)).tail(1 << 40) == 0
    for _ in range(30):
        writer.append(1, b"x" * 1000)
    assert 0 < on_disk(tmp_path) <= 42_000
    writer.held = lambda: keeper.RELEASE
    writer.append(1, b"x" * 2000)
    assert on_disk(tmp_path) <= 4096 + 100


def test_an_offset_in_the_middle_of_many_runs_is_found(tmp_path: Path) -> None:
    writer = keeper.Spool(str(tmp_path), 64 << 20, GIB)
    for number in range(20_000):
        writer.append(1 + number % 2, b"%05d\n" % number)
    spool = Spool(str(tmp_path))
    for number in (0, 1, 511, 512, 513, 9_999, 19_999):
        first = spool.read(number * 6 + 2, 10)[0]
        assert isinstance(first, Chunk)
        assert (first.offset, first.stream) == (number * 6 + 2, 1 + number % 2)
        assert first.data == (b"%05d\n" % number)[2:]


def test_a_disk_that_refuses_makes_a_gap_and_writing_goes_on_later(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    writer = keeper.Spool(str(folder), 1 << 20, GIB)
    writer.append(1, b"one")
    writer.close_segment()
    folder.rename(tmp_path / "away")  # opening the next segment fails, as on a full disk
    writer.append(1, b"lost")
    (tmp_path / "away").rename(folder)
    writer.append(1, b"gone")
    assert (writer.end, writer.dropped) == (11, 8)  # not tried again at once
    writer.retry_at = 0
    writer.append(2, b"two")

    pieces = read_all(Spool(str(folder)))
    assert [(p.offset, p.end) for p in pieces] == [(0, 3), (3, 11), (11, 14)]
    assert isinstance(pieces[1], Gap)


def test_reading_while_the_writer_rotates_never_invents_or_repeats(tmp_path: Path) -> None:
    """Every eight bytes are their own offset, so a wrong byte cannot hide."""
    writer = keeper.Spool(str(tmp_path), 64 * 1024, 64 * 1024)
    done = threading.Event()

    def write() -> None:
        for number in range(0, 4_000_000, 8000):
            writer.append(
                1 + number // 8000 % 2, b"".join(b"%08x" % at for at in range(number, number + 8000, 8))
            )
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    spool, offset, seen = Spool(str(tmp_path)), 0, 0
    while not (done.is_set() and offset == writer.end):
        for piece in spool.read(offset, 8000):
            assert piece.offset == offset
            offset = piece.end
            if isinstance(piece, Chunk):
                seen += 1
                start = -piece.offset % 8
                if len(piece.data) >= start + 8:
                    assert int(piece.data[start : start + 8], 16) == piece.offset + start
    thread.join()
    assert seen
