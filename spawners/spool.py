"""Reading an agent's output by absolute offset, while its keeper writes and rotates it.

A spool is a row of segments `spool.<offset of its first byte>`, each with an `index.<offset>` of fixed
16-byte records (u64 offset; u48 milliseconds, u8 stream, u8 unused) that say where a run of one stream begins
and when. A record is written before its data, so data that can be read has its record.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from bisect import bisect_right
from dataclasses import dataclass

from spawners import _os
from spawners.launch import Chunk, Gap, Stream

__all__ = ["Spool"]

_RECORD = struct.Struct("!QQ")
_BLOCK = 512 * _RECORD.size
READ_LIMIT = 256 * 1024
"""Bytes a read returns at most unless told otherwise: a few hundred microseconds of a busy loop."""


@dataclass(frozen=True, slots=True)
class _Run:
    """From `offset` on, up to the next run, the bytes came from `stream`."""

    offset: int
    stream: Stream
    at_ms: int


class Spool:
    """One agent's output on disk. Holds no file open and no state, so rotation can never confuse it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def read(self, offset: int, limit: int = READ_LIMIT) -> list[Chunk | Gap]:
        """What is stored from `offset` on, in order: at most `limit` bytes, of one segment.

        Empty when there is nothing at or behind `offset` now. What is missing in front of stored
        bytes comes as a `Gap`; what is missing behind the last one is not known here.
        """
        while True:
            starts = self._starts()
            at = bisect_right(starts, offset) - 1
            if at >= 0:
                try:
                    chunks = self._read_segment(starts[at], offset, limit)
                except FileNotFoundError:
                    continue  # rotated away since it was listed
                if chunks:
                    return list(chunks)
            later = starts[at + 1 :]
            return [Gap(offset, later[0])] if later else []

    def _starts(self) -> list[int]:
        """Offsets at which segments begin, ascending; empty for a directory that is gone."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        return sorted(int(name[6:]) for name in names if name.startswith("spool.") and name[6:].isdigit())

    def prelude(self) -> bytes:
        """What sets a terminal to the modes it was in before the first stored byte; usually empty."""
        starts = self._starts()
        try:
            with open(
                f"{self._directory}/prelude.{starts[0] if starts else 0}", "rb", opener=_os.sharing
            ) as file:
                return file.read()
        except FileNotFoundError:
            return b""

    @property
    def start(self) -> int:
        """The offset of the first stored byte; 0 if there is none."""
        return min(self._starts(), default=0)

    @property
    def end(self) -> int:
        """The offset behind the last stored byte."""
        while starts := self._starts():
            with contextlib.suppress(FileNotFoundError):
                return starts[-1] + os.stat(f"{self._directory}/spool.{starts[-1]}").st_size
        return 0

    @property
    def written_ms(self) -> int:
        """When something was last written, in epoch milliseconds; 0: nothing was."""
        while starts := self._starts():
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(f"{self._directory}/spool.{starts[-1]}")
                return found.st_mtime_ns // 1_000_000 if found.st_size else 0
        return 0

    def tail(self, size: int) -> int:
        """The offset from which on at most `size` stored bytes follow."""
        starts = self._starts()
        return max(self.end - size, starts[0]) if starts else 0

    def _read_segment(self, start: int, offset: int, limit: int) -> list[Chunk]:
        with open(f"{self._directory}/spool.{start}", "rb", buffering=0, opener=_os.sharing) as file:
            file.seek(offset - start)
            data = file.read(limit)
        if not data:
            return []
        runs = self._runs(start, offset, offset + len(data))
        chunks: list[Chunk] = []
        for number, run in enumerate(runs):
            begin = max(run.offset, offset)
            end = runs[number + 1].offset if number + 1 < len(runs) else offset + len(data)
            chunks.append(Chunk(begin, run.stream, data[begin - offset : end - offset], run.at_ms))
        return chunks

    def _runs(self, start: int, offset: int, end: int) -> list[_Run]:
        """The runs of a segment that touch `offset` to `end`; the first covers `offset`."""
        runs: list[_Run] = []
        with open(f"{self._directory}/index.{start}", "rb", buffering=0, opener=_os.sharing) as file:
            file.seek(_last_at_or_before(file, offset) * _RECORD.size)
            while block := file.read(_BLOCK):
                whole = len(block) - len(block) % _RECORD.size
                for at, word in _RECORD.iter_unpack(block[:whole]):
                    if at >= end:
                        return runs
                    if runs and runs[-1].offset == at:
                        runs.pop()  # its data never reached the disk
                    runs.append(_Run(at, Stream(word >> 8 & 0xFF), word >> 16))
                if whole < _BLOCK:
                    break
        return runs


def _last_at_or_before(file: io.FileIO, offset: int) -> int:
    """Number of the last record whose run begins at or before `offset`: a binary search on disk."""
    low, high = 0, file.seek(0, os.SEEK_END) // _RECORD.size
    while high - low > 1:
        middle = (low + high) // 2
        file.seek(middle * _RECORD.size)
        at, _ = _RECORD.unpack(file.read(_RECORD.size))
        if at <= offset:
            low = middle
        else:
            high = middle
    return low
