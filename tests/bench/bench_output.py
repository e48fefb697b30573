"""How fast output goes from an agent through its spool to one that follows it at the daemon."""

from __future__ import annotations

from pathlib import Path

import psutil
from stand import Row, cpu_seconds, keepers, stand, stopwatch

from relay.wire import endpoints
from relay.wire.agents import SpawnRequest
from relay.wire.output import MEDIA_TYPE, FrameDecoder, Kind
from relay.wire.queries import OutputQuery

__all__ = ["output"]

MEGABYTES = 300


def output(folder: Path) -> list[Row]:
    total = MEGABYTES * 1_000_000
    with stand(folder) as both, both.host.client() as client:
        daemon = psutil.Process(both.host.pid)
        used = cpu_seconds([daemon])
        began = stopwatch()
        agent = client.call(endpoints.SPAWN, SpawnRequest(argv=["head", "-c", str(total), "/dev/zero"])).agent
        received, lost, decoder = 0, 0, FrameDecoder()
        with client.stream(
            endpoints.READ_OUTPUT, path={"id": agent.id}, query=OutputQuery(follow=True), accept=MEDIA_TYPE
        ) as response:
            keeping = keepers(both.host.directory)
            for piece in response.iter_raw():
                for frame in decoder.feed(piece):
                    if frame.kind is Kind.GAP:
                        lost += frame.end - frame.offset
                    else:
                        received += len(frame.data)
        seconds = (stopwatch() - began) / 1000
        spent = cpu_seconds([daemon]) - used
        keeper = cpu_seconds(keeping)
    assert received + lost == total, f"{received} received and {lost} lost of {total}"
    rate = MEGABYTES / seconds
    note = f"{MEGABYTES} MB by pipe; {lost} bytes lost; daemon used {spent:.1f} s"
    note += f", keeper {keeper:.1f} s" if keeper else ""
    return [
        Row("output → spool → one follower", f"{rate:.0f} MB/s", "≥ 60 MB/s", rate >= 60 and not lost, note)
    ]
