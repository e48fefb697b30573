"""A recorded terminal as asciicast v3, which asciinema plays (docs.asciinema.org/manual/asciicast/v3)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator

from spawners.launch import Chunk, Gap, Resized, Size, Stream
from spawners.screen.replay import Item

__all__ = ["cast"]

TERM = "xterm-256color"
"""What every embedded agent is told that its terminal is."""


class _Clock:
    """Milliseconds of the output → seconds since the event before."""

    def __init__(self, started_ms: int) -> None:
        self._now = started_ms

    def interval(self, at_ms: int) -> float:
        # Wall clocks are set back now and then; a player cannot go back.
        passed = max(0, at_ms - self._now) if self._now and at_ms else 0
        self._now = max(self._now, at_ms)
        return passed / 1000


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _header(size: Size, started_ms: int, said: dict[str, str]) -> str:
    terminal = {"cols": size.columns, "rows": size.rows, "type": TERM}
    header: dict[str, object] = {"version": 3, "term": terminal}
    if started_ms:
        header["timestamp"] = started_ms // 1000
    return _line(header | {name: text for name, text in said.items() if text})


def cast(
    items: Iterable[Item],
    size: Size,
    *,
    title: str = "",
    command: str = "",
    started_ms: int = 0,
    exit_code: int | None = None,
) -> Iterator[str]:
    """The lines of the file, each with its newline.

    `size` is the terminal's first one, `started_ms` when the program started (0: not known, the
    recording begins with its first output). Characters that were cut between two chunks come whole;
    a gap becomes a marker that says how many bytes are missing.
    """
    yield _header(size, started_ms, {"command": command, "title": title})
    clock = _Clock(started_ms)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last_ms = started_ms
    for item in items:
        if isinstance(item, Gap):
            if rest := decoder.decode(b"", final=True):
                yield _line([0, "o", rest])
            yield _line(
                [clock.interval(last_ms), "m", f"{item.end - item.offset} bytes of output are missing"]
            )
            continue
        last_ms = item.at_ms
        if isinstance(item, Resized):
            if item.size != size:
                size = item.size
                yield _line([clock.interval(item.at_ms), "r", f"{size.columns}x{size.rows}"])
        elif isinstance(item, Chunk) and item.stream is Stream.PTY and (text := decoder.decode(item.data)):
            yield _line([clock.interval(item.at_ms), "o", text])
    if rest := decoder.decode(b"", final=True):
        yield _line([0, "o", rest])
    if exit_code is not None:
        yield _line([0, "x", str(exit_code)])
