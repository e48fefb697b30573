"""Output with the times at which it was written and the sizes that the terminal had."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from orchestrator.agents.record import AgentRecord
from orchestrator.commands.output import frames
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.output import Frame, Kind, gap_frame, size_frame, time_frame
from relay.wire.queries import OutputQuery
from spawners.launch import Stream


@pytest.fixture
def ended(tmp_path: Path) -> AgentRecord:
    """Ten bytes from 100 on, in three runs at two times; resized once before them and once among them."""
    runs = [(100, 5000), (104, 5000), (106, 6000)]
    index = b"".join(struct.pack("!QQ", at, at_ms << 16 | Stream.PTY << 8) for at, at_ms in runs)
    sizes = [(0, 4000, 24, 80), (90, 4500, 40, 120), (108, 6500, 10, 20)]
    (tmp_path / "spool.100").write_bytes(b"0123456789")
    (tmp_path / "index.100").write_bytes(index)
    (tmp_path / "sizes").write_bytes(b"".join(struct.pack("!QQHH", *size) for size in sizes))
    agent = ManagedAgent(
        id="ag-0123456789ab", status=Status.SUCCEEDED, provider="command", mode=Mode.EMBEDDED, created_at=1
    )
    return AgentRecord(agent=agent, directory=str(tmp_path))


async def read(record: AgentRecord, **query: object) -> list[Frame]:
    return [frame async for frame in frames(record, None, OutputQuery(**query))]  # type: ignore[arg-type]


async def test_sizes_and_times_stand_in_front_of_what_they_hold_for(ended: AgentRecord) -> None:
    found = await read(ended, offset=100, timed=True)

    assert found == [
        time_frame(90, 4500),
        size_frame(90, 40, 120),
        time_frame(100, 5000),
        Frame(100, Kind.PTY, b"0123"),
        Frame(104, Kind.PTY, b"45"),
        time_frame(106, 6000),
        Frame(106, Kind.PTY, b"67"),
        time_frame(108, 6500),
        size_frame(108, 10, 20),
        time_frame(108, 6000),
        Frame(108, Kind.PTY, b"89"),
        Frame(110, Kind.END),
    ]


async def test_what_was_rotated_away_is_a_gap_behind_the_first_size(ended: AgentRecord) -> None:
    found = [frame for frame in await read(ended, timed=True) if frame.kind is not Kind.TIME]

    assert found[0] == size_frame(0, 24, 80)
    assert gap_frame(0, 100) in found


async def test_without_asking_there_are_only_bytes(ended: AgentRecord) -> None:
    found = await read(ended, offset=100)

    assert {frame.kind for frame in found} == {Kind.PTY, Kind.END}
    assert b"".join(frame.data for frame in found) == b"0123456789"


async def test_a_limit_counts_only_bytes_of_output(ended: AgentRecord) -> None:
    found = await read(ended, offset=100, limit=5, timed=True)

    assert b"".join(frame.data for frame in found if frame.kind is Kind.PTY) == b"01234"
    assert found[-1] == Frame(105, Kind.PAUSE)
