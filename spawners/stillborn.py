"""A keeper that never came to say whether its program runs: ended, with all that it may have started."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable

from spawners import _os, recovery
from spawners.directory import AgentDirectory
from spawners.errors import SpawnFailed
from spawners.launch import SessionRef

__all__ = ["end_executed", "end_forked", "stillborn"]

DYING_S = 5.0


def end_executed(keeper: subprocess.Popen[bytes]) -> None:
    keeper.kill()  # our unreaped child: the number cannot be another's
    keeper.wait()


def end_forked(pid: int) -> None:
    """Blocks until it is gone, for some seconds at most."""
    found = _os.process(pid)
    deadline = time.monotonic() + DYING_S
    while found is not None and found.name == "muster-keeper" and time.monotonic() < deadline:
        _os.send_signal(found, 9)
        time.sleep(0.005)
        found = _os.process(pid)


def stillborn(ref: SessionRef, end: Callable[[], None]) -> SpawnFailed:
    """A keeper that never said whether exec succeeded: end it and all it may have started. Blocks."""
    end()
    directory = AgentDirectory(ref.directory)
    message = "the keeper died before the program was running"
    with contextlib.suppress(OSError), open(directory.file("keeper.log"), "rb") as log:
        said = log.read()[-2000:].decode("utf-8", "replace").strip()
        if said:
            message += f": {said}"
    ended = recovery.lost(ref)
    return SpawnFailed(f"{message} ({ended})" if ended.ended_pids else message)
