"""Asking a program one question: what it prints, within bounds, and nothing of it left behind.

For programs that nobody vouches for: shells with their start-up files, CLIs asked for their version. They
may wait for input, print without end, hang, or leave something running that holds the pipe.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spawners import _os

__all__ = ["Answer", "ask"]

LOOK_S = 0.05
"""How often to look whether the program has ended while something else holds its output open."""

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
    output = bytearray()
    timed_out = ended = False
    with process.stdout as pipe:
        try:
            deadline = time.monotonic() + timeout_s
            ended, timed_out = await _read(process, output, deadline, limit, until)
        finally:
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            await asyncio.to_thread(_end_session, process.pid)
            await _reap(process)
    return Answer(bytes(output[:limit]), process.returncode if ended else None, timed_out)


async def _read(
    process: subprocess.Popen[bytes], output: bytearray, deadline: float, limit: int, until: bytes | None
) -> tuple[bool, bool]:
    """Fill `output`; return whether the program has ended and whether the time was up."""
    assert process.stdout is not None
    pipe, readable = process.stdout, asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), readable.set)
    while len(output) < limit:
        ended = _has_ended(process.pid)
        left = deadline - time.monotonic()
        if left <= 0:
            return ended, not ended
        try:
            await asyncio.wait_for(readable.wait(), 0.001 if ended else min(left, LOOK_S))
        except TimeoutError:
            if ended:
                return True, False
            continue
        data = pipe.read(CHUNK)
        readable.clear()
        if not data:
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            return await _ending(process.pid, deadline)
        searched = max(0, len(output) - len(until or b""))
        output += data
        if until is not None and output.find(until, searched) >= 0:
            break
    return False, False


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
