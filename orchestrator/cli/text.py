"""What an agent wrote into its terminal, as lines to read or as the items that a recording is made of."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from queue import Empty, SimpleQueue

from orchestrator.cli.follow import follow, read
from orchestrator.cli.target import Server
from relay.wire.agents import ManagedAgent
from relay.wire.output import Frame, Kind
from relay.wire.queries import OutputQuery
from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.transcript import transcript

__all__ = ["Item", "first_size", "items", "lines", "lines_as_they_settle"]

Item = Chunk | Gap | Resized
SETTLED_S = 1.0
"""A line that nothing was written after for this long is shown; most programs repaint within it or never."""


def items(frames: Iterable[Frame]) -> Iterator[Item]:
    """Return what the frames of a timed output say."""
    at_ms = 0
    for frame in frames:
        if frame.kind is Kind.TIME:
            at_ms = frame.at_ms
        elif frame.kind is Kind.SIZE:
            rows, columns = frame.size
            yield Resized(frame.offset, Size(rows, columns), at_ms)
        elif frame.kind is Kind.GAP:
            yield Gap(frame.offset, frame.end)
        elif frame.data:
            yield Chunk(frame.offset, Stream(int(frame.kind)), frame.data, at_ms)


def first_size(agent: ManagedAgent, found: list[Item]) -> Size:
    """The size that the terminal had at the beginning of what was found."""
    sizes = [item.size for item in found if isinstance(item, Resized)]
    known = agent.size or {}
    return sizes[0] if sizes else Size(known.get("rows", 24), known.get("columns", 80))


def lines(server: Server, agent: ManagedAgent, *, since_ms: int | None, tail: int | None) -> Iterator[str]:
    """Return what is there now, without escape codes: from a time on, and only the last `tail` lines."""
    found = list(items(read(server, agent.id, OutputQuery(timed=True))))
    text = transcript(found, first_size(agent, found), since_offset=_offset_at(found, since_ms))
    return text if tail is None else iter(deque(text, maxlen=tail))


def lines_as_they_settle(
    server: Server, agent: ManagedAgent, *, since_ms: int | None = None, tail: int | None = None
) -> Iterator[str]:
    """Return what is there now as `lines` does, then go on until the agent has ended."""
    found = list(items(read(server, agent.id, OutputQuery(timed=True))))
    end = max((item.end for item in found), default=0)
    behind: list[None] = []

    def caught_up() -> Iterator[None]:
        yield None
        behind.append(None)

    later = _with_pauses(items(follow(server, agent.id, end, timed=True)))
    text = transcript(
        chain(found, caught_up(), later),
        first_size(agent, found),
        since_offset=_offset_at(found, since_ms),
    )
    last: deque[str] = deque(maxlen=tail)
    for line in text:
        if tail is not None and not behind:
            last.append(line)
            continue
        yield from last
        last.clear()
        yield line
    yield from last


def _offset_at(found: list[Item], since_ms: int | None) -> int:
    """Where what was written from `since_ms` on begins."""
    if since_ms is None:
        return 0
    for item in found:
        if isinstance(item, Chunk) and item.at_ms >= since_ms:
            return item.offset
    return max((item.end for item in found), default=0)


def _with_pauses(source: Iterator[Item]) -> Iterator[Item | None]:
    """Return what `source` does, and None whenever nothing has come for a while."""
    queue: SimpleQueue[Item | Exception | None] = SimpleQueue()

    def fetch() -> None:
        try:
            for item in source:
                queue.put(item)
            queue.put(None)
        except Exception as error:  # noqa: BLE001 - the edge of a thread; it is raised again below
            queue.put(error)

    threading.Thread(target=fetch, daemon=True).start()
    timeout: float | None = SETTLED_S
    while True:
        try:
            item = queue.get(timeout=timeout)
        except Empty:
            timeout = None
            yield None
            continue
        timeout = SETTLED_S
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item
