"""What became of an agent: settled by looking at its directory, never by starting anything."""

from __future__ import annotations

import asyncio
import signal

from spawners import _os
from spawners.directory import AgentDirectory
from spawners.errors import SessionLost
from spawners.launch import Exit, SessionRef
from spawners.line import Line, LineLost, dial
from spawners.tree import end_survivors

__all__ = ["find", "lost", "signal_keeper"]

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 1.0
_UNHEARD_S = 0.5
"""A keeper that holds its lock this long without listening has lost its socket file (a cleaner of /tmp)."""


async def find(ref: SessionRef) -> Line | Exit:
    """A line to the living keeper, or the exit record.

    Raises `SessionLost` when there is neither; what of the tree was still alive is ended by then. As long
    as the lock is held a keeper lives, and we go on trying to reach it.
    """
    directory = AgentDirectory(ref.directory)
    pause, unheard = _FIRST_PAUSE_S, 0.0
    while directory.is_locked():
        spec = directory.spec()
        try:
            if spec is not None:
                return await dial(spec["socket"])
        except (OSError, LineLost):
            if unheard >= _UNHEARD_S:
                signal_keeper(directory, "SIGUSR1")  # it listens anew
        await asyncio.sleep(pause)
        unheard += pause
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    record = directory.exit()
    if record is not None:
        return record
    raise await asyncio.to_thread(lost, ref)


def signal_keeper(directory: AgentDirectory, name: str) -> None:
    """Send the signal called `name` to the keeper, if it is still the process that was written down.

    Where there is no such signal there is nothing that it would mend.
    """
    number = int(getattr(signal, name, 0))
    child = directory.child() if number else None
    keeper = _os.process(child.keeper_pid) if child else None
    if child and keeper and keeper.started == child.keeper_started:
        _os.send_signal(keeper, number)


def lost(ref: SessionRef) -> SessionLost:
    """The verdict on a session without keeper and record, after ending what survived. Blocks."""
    directory = AgentDirectory(ref.directory)
    if not directory.exists():
        return SessionLost("unknown", f"the directory of {ref.agent_id} is gone: {ref.directory}")
    child = directory.child()
    if child is None:
        return SessionLost("never_started", f"{ref.agent_id} was written down but never executed")
    if child.boot_id != _os.boot_id():
        return SessionLost("host_reboot", f"the host has restarted since {ref.agent_id} was started")
    ended = end_survivors(ref.directory, child.program, child.keeper_started)
    names = ", ".join(item.label for item in ended)
    message = f"the keeper of {ref.agent_id} (pid {child.keeper_pid}) was killed: how it ended is not known"
    if names:
        message += f"; ended what was left of it: {names}"
    return SessionLost("keeper_killed", message, tuple(item.pid for item in ended))
