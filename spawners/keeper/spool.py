"""The output on disk."""

import errno
import time

from spawners.keeper.files import unlink
from spawners.keeper.protocol import INDEX, RELEASE
from spawners.keeper.system import APPEND, close, now_ms, open_file, write

MYPY = False
if MYPY:
    from collections.abc import Callable

INDEX_MS = 10  # a new index record at least this often while output flows
SEGMENTS = 4  # the spool rotates by quarters
DISK_RETRY_S = 0.25  # between attempts to write output on a full disk


class Spool:
    """The output on disk: segments named by absolute offset, an index beside each, oldest deleted first.

    A full disk never raises: bytes are counted as `dropped`, `end` still advances, and a new segment
    begins when writing works again.
    """

    def __init__(self, directory: str, limit: int, bound: int) -> None:
        self.directory = directory
        self.limit = limit
        self.segment_limit = max(limit // SEGMENTS, 1024)
        self.bound = max(bound, limit)
        self.end = 0
        self.dropped = 0
        self.segments: list[list[int]] = []  # [start, bytes on disk]
        self.data_fd = self.index_fd = -1
        self.last_kind = self.last_ms = 0
        self.retry_at = 0.0
        self.held: Callable[[], int] = lambda: RELEASE
        self.before_delete: Callable[[int, int], None] = lambda start, following: None

    def append(self, kind: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self.data_fd < 0 and time.monotonic() < self.retry_at:
                self.drop(len(view))
                return
            try:
                if self.data_fd < 0:
                    self.open_segment()
                written = self.store(kind, view)
            except OSError:
                self.close_segment()
                self.retry_at = time.monotonic() + DISK_RETRY_S
                self.drop(len(view))
                return
            self.end += written
            view = view[written:]
            if self.segments[-1][1] >= self.segment_limit:
                self.close_segment()

    def drop(self, size: int) -> None:
        self.dropped += size
        self.end += size

    def open_segment(self) -> None:
        self.segments.append([self.end, 0])
        self.index_fd = open_file("%s/index.%d" % (self.directory, self.end), APPEND)
        self.data_fd = open_file("%s/spool.%d" % (self.directory, self.end), APPEND)
        self.last_kind = -1
        self.trim()

    def store(self, kind: int, view: memoryview) -> int:
        """Write some of `view`, its index record first, so that a reader of the data finds its record."""
        at = now_ms()
        segment = self.segments[-1]
        if kind != self.last_kind or not 0 <= at - self.last_ms < INDEX_MS:
            if write(self.index_fd, INDEX.pack(self.end, at << 16 | kind << 8)) != INDEX.size:
                raise OSError(errno.ENOSPC, "half an index record")
            self.last_kind, self.last_ms = kind, at
            segment[1] += INDEX.size
        written = write(self.data_fd, view[: max(self.segment_limit - segment[1], 1)])
        segment[1] += written
        return written

    def close_segment(self) -> None:
        for fd in (self.data_fd, self.index_fd):
            if fd >= 0:
                close(fd)
        self.data_fd = self.index_fd = -1
        if self.segments and self.segments[-1][0] == self.end:  # nothing went into it
            self.delete(self.segments.pop()[0])

    def delete(self, start: int) -> None:
        unlink("%s/spool.%d" % (self.directory, start))
        unlink("%s/index.%d" % (self.directory, start))

    def trim(self) -> None:
        """Delete the oldest segments that the limit has no room for and no follower still needs."""
        keep = self.limit * (SEGMENTS - 1) // SEGMENTS
        total = sum(segment[1] for segment in self.segments)
        while len(self.segments) > 1 and total - self.segments[0][1] >= keep:
            if self.segments[1][0] > self.held() and total <= self.bound:
                return
            start, size = self.segments.pop(0)
            total -= size
            self.before_delete(start, self.segments[0][0])
            self.delete(start)
