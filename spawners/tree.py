"""An agent's processes when its keeper is gone: finding them by proof, and ending them.

While a keeper lives it does this itself and better, as the parent of all of them. Here only evidence
counts: the identity that was written down, descent from it, its session, and the mark that every agent's
environment carries. On doubt nothing is signalled.
"""

from __future__ import annotations

import os
import signal
import time

from spawners import _os
from spawners.launch import Identity

__all__ = ["MARK", "PLACE", "end_survivors", "is_alive", "is_halted"]

MARK = "MUSTER_AGENT_ID"
"""Environment variable that tells an agent its id."""

PLACE = "MUSTER_AGENT_DIR"
"""Environment variable by which the processes of an agent are found again: its directory. Unlike the id,
which two hosts on one machine, or somebody's copy of an environment, may share, it names one agent only."""

_PASS_S = 0.02
_GIVE_UP_S = 10.0
_UNTOLD_S = 5.0
"""An exec that has closed its files is over in microseconds of its own time; one on a dead network disk
may take for ever, and must not hold up the verdict."""


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs: same number, start time and boot; a zombie does not."""
    if identity.boot_id and identity.boot_id != _os.boot_id():
        return False
    found = _os.process(identity.pid)
    return found is not None and not found.zombie and found.started == identity.started


def is_halted(identity: Identity) -> bool:
    """Whether exactly this process was stopped (SIGSTOP) and has not been continued."""
    found = _os.process(identity.pid)
    return found is not None and found.halted and found.started == identity.started


def _survivors(
    directory: str, program: Identity | None, started: int
) -> tuple[list[_os.Process], list[_os.Process]]:
    """The living processes that are proven to be the agent's, and those that cannot be told yet.

    Never this one or one above it. `started` is when the keeper began: nothing older can belong to its
    agent. What descends from, or shares the session of, the program counts only while the program itself
    is there and proven.
    """
    table = {item.pid: item for item in _os.processes()}
    ours = _lineage(table, os.getpid())
    root = table.get(program.pid) if program else None
    if root is not None and program is not None and root.started != program.started:
        root = None
    mark = f"{PLACE}={directory}"
    found, untold = [], []
    for item in table.values():
        if item.zombie or item.pid in ours or item.started < started:
            continue
        related = root is not None and (item.session == root.pid or root.pid in _lineage(table, item.pid))
        marked = related or _os.has_mark(item.pid, mark)
        if marked:
            found.append(item)
        elif marked is None:
            untold.append(item)
    return found, untold


def _lineage(table: dict[int, _os.Process], pid: int) -> set[int]:
    """`pid` and everything above it."""
    line: set[int] = set()
    while pid in table and pid not in line:
        line.add(pid)
        pid = table[pid].parent
    return line


def end_survivors(directory: str, program: Identity | None, started: int) -> tuple[_os.Process, ...]:
    """Kill what is proven to be the agent's until two passes in a row find nothing; returns what was killed.

    Blocks, for at most about ten seconds: run it in a thread. What could not be killed by then is
    left to the kernel, where it hangs.
    """
    killed: dict[int, _os.Process] = {}
    empty = 0
    began = time.monotonic()
    while empty < 2 and time.monotonic() < began + _GIVE_UP_S:
        living, untold = _survivors(directory, program, started)
        waiting = bool(living) or (bool(untold) and time.monotonic() < began + _UNTOLD_S)
        empty = 0 if waiting else empty + 1
        for item in living:
            if _os.send_signal(item, getattr(signal, "SIGKILL", signal.SIGTERM)):
                killed[item.pid] = item
        time.sleep(_PASS_S if waiting else 0)
    return tuple(killed.values())
