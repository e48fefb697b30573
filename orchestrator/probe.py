"""Asking a program one question: what it prints, within bounds, and nothing of it left behind.

For programs that nobody vouches for: shells with their start-up files, CLIs asked for their version. They
may wait for input, print without end, hang, or leave something running that holds the pipe.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spawners import _os

__all__ = ["Answer", "ask"]

LOOK_S = 0.05
"""How often to look whether the program has ended while something else holds its output open."""

SETTLE_S = 0.01
"""For reading what an ended program had still written, if something else holds the pipe open."""

REAP_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`output` is stdout, at most `limit` bytes. `code` is None for a program that had to be killed,
    and `timed_out` whether that was for its slowness (not because enough had been read)."""

    output: bytes
    code: int | None
    timed_out: bool = False


async def ask(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    *,
    timeout_s: float,
    limit: int = 1024 * 1024,
    until: bytes | None = None,
) -> Answer:
    """Run `argv` in a session of its own, with nothing to read and stderr thrown away.

    Returns once it has ended, has printed `until` or `limit` bytes, or `timeout_s` has passed; never
    waits for what it left in the background. Whatever of its session still runs is killed then, as it
    is when this is cancelled. Raises `OSError` if `argv[0]` cannot be executed.
    """
    group = _os.Group(argv, env, cwd)  # vfork: a millisecond, and no other loop's fork
    assert group.process.stdout is not None
    with group.process.stdout as pipe:
        output = _Output(pipe.fileno(), limit, until)
        try:
            ended, timed_out = await _watch(group, output, time.monotonic() + timeout_s)
        finally:
            output.close()
            await asyncio.to_thread(group.kill, _os.processes, _os.send_signal)
            await _reap(group.process)
    return Answer(bytes(output.data[:limit]), group.process.returncode if ended else None, timed_out)


class _Output:
    """Gathers what comes through a pipe until it is enough."""

    def __init__(self, fd: int, limit: int, until: bytes | None) -> None:
        self.data = bytearray()
        self.enough = asyncio.Event()
        self.closed = False
        self._limit = limit
        self._until = until
        self.close = _os.read_pipe(fd, self._take)

    def _take(self, piece: bytes) -> None:
        searched = max(0, len(self.data) - len(self._until or b""))
        self.data += piece
        self.closed = not piece
        found = self._until is not None and self.data.find(self._until, searched) >= 0
        if self.closed or found or len(self.data) >= self._limit:
            self.close()
            self.enough.set()


async def _watch(group: _os.Group, output: _Output, deadline: float) -> tuple[bool, bool]:
    """Return whether the program has ended and whether the time was up; its output is all in then."""
    while True:
        ended = group.has_ended(_os.process)
        left = deadline - time.monotonic()
        if left <= 0:
            return ended, not ended
        try:
            await asyncio.wait_for(output.enough.wait(), SETTLE_S if ended else min(left, LOOK_S))
        except TimeoutError:
            if ended:
                return True, False
            continue
        return await _ending(group, deadline) if output.closed else (False, False)


async def _ending(group: _os.Group, deadline: float) -> tuple[bool, bool]:
    """Wait for the end of a program that has closed its output."""
    while not group.has_ended(_os.process):
        if time.monotonic() > deadline:
            return False, True
        await asyncio.sleep(0.002)
    return True, False


async def _reap(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + REAP_S
    while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110  (there is no event)
        await asyncio.sleep(0.002)
