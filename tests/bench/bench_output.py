"""How fast output goes from an agent through its spool to one that follows it at the daemon."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import psutil
from stand import Row, cpu_seconds, stand, stopwatch

from relay.wire import endpoints
from relay.wire.agents import SpawnRequest
from relay.wire.output import MEDIA_TYPE, FrameDecoder, Kind
from relay.wire.queries import OutputQuery

__all__ = ["output"]

AGENT = ["seq", "1", "35000000"]
"""Writes 304 MB, no two places of it alike, faster than the aim by far."""


def output(folder: Path) -> list[Row]:
    """Every byte is checked, which costs some of the speed."""
    wanted, total = _written()
    with stand(folder) as both, both.host.client() as client:
        daemon = psutil.Process(both.host.pid)
        used = cpu_seconds([daemon])
        began = stopwatch()
        agent = client.call(endpoints.SPAWN, SpawnRequest(argv=AGENT)).agent
        at, lost, found, decoder = 0, 0, 0, FrameDecoder()
        with client.stream(
            endpoints.READ_OUTPUT, path={"id": agent.id}, query=OutputQuery(follow=True), accept=MEDIA_TYPE
        ) as response:
            for piece in response.iter_raw():
                for frame in decoder.feed(piece):
                    assert frame.offset == at, f"the frame at {frame.offset} should be at {at}"
                    at = frame.end
                    if frame.kind is Kind.GAP:
                        lost += frame.end - frame.offset
                    else:
                        found = zlib.crc32(frame.data, found)
        seconds = (stopwatch() - began) / 1000
        spent = cpu_seconds([daemon]) - used
    assert at == total and (lost or found == wanted), f"{at} of {total} bytes came, or not the same"
    rate = total / seconds / 1e6
    note = f"{total / 1e6:.0f} MB by pipe; {lost} bytes lost; daemon used {spent:.1f} s"
    return [
        Row("output → spool → one follower", f"{rate:.0f} MB/s", "≥ 60 MB/s", rate >= 60 and not lost, note)
    ]


def _written() -> tuple[int, int]:
    """Return the checksum and the length of what the agent writes."""
    checksum, length = 0, 0
    with subprocess.Popen(AGENT, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        while piece := agent.stdout.read(1 << 20):
            checksum, length = zlib.crc32(piece, checksum), length + len(piece)
    return checksum, length
