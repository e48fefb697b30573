"""Asking a program one question: what it prints, within bounds, and nothing of it left behind.

For programs that nobody vouches for: shells with their start-up files, CLIs asked for their version. They
may wait for input, print without end, hang, or leave something running that holds the pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
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
CHUNK = 65536
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


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
    process = subprocess.Popen(  # noqa: ASYNC220  (vfork: a millisecond, and no other loop's fork)
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        output = _Output(pipe.fileno(), limit, until)
        try:
            ended, timed_out = await _watch(process.pid, output, time.monotonic() + timeout_s)
        finally:
            output.close()
            await asyncio.to_thread(_end_session, process.pid)
            await _reap(process)
    return Answer(bytes(output.data[:limit]), process.returncode if ended else None, timed_out)


class _Output:
    """Gathers what comes through a pipe until it is enough.

    Reads in the callback itself, right after the pipe was found readable: later it might block.
    """

    def __init__(self, fd: int, limit: int, until: bytes | None) -> None:
        self.data = bytearray()
        self.enough = asyncio.Event()
        self.closed = False
        self._fd = fd
        self._limit = limit
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._take)

    def _take(self) -> None:
        piece = os.read(self._fd, CHUNK)
        searched = max(0, len(self.data) - len(self._until or b""))
        self.data += piece
        self.closed = not piece
        found = self._until is not None and self.data.find(self._until, searched) >= 0
        if self.closed or found or len(self.data) >= self._limit:
            self.close()
            self.enough.set()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)


async def _watch(pid: int, output: _Output, deadline: float) -> tuple[bool, bool]:
    """Return whether the program has ended and whether the time was up; its output is all in then."""
    while True:
        ended = _has_ended(pid)
        left = deadline - time.monotonic()
        if left <= 0:
            return ended, not ended
        try:
            await asyncio.wait_for(output.enough.wait(), SETTLE_S if ended else min(left, LOOK_S))
        except TimeoutError:
            if ended:
                return True, False
            continue
        return await _ending(pid, deadline) if output.closed else (False, False)


async def _ending(pid: int, deadline: float) -> tuple[bool, bool]:
    """Wait for the end of a program that has closed its output."""
    while not _has_ended(pid):
        if time.monotonic() > deadline:
            return False, True
        await asyncio.sleep(0.002)
    return True, False


def _has_ended(pid: int) -> bool:
    """Without collecting it: until that, its number cannot become another process'."""
    found = _os.process(pid)
    return found is None or found.zombie


def _end_session(leader: int) -> None:
    """Kill all of the session; what was forked in between is met by the next pass."""
    for _ in range(3):
        living = [item for item in _os.processes() if item.session == leader and not item.zombie]
        if not living:
            return
        for item in living:
            _os.send_signal(item, KILL)


async def _reap(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + REAP_S
    while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110  (there is no event)
        await asyncio.sleep(0.002)
