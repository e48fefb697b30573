"""The two ports of this package. `tests/contracts/` holds every implementation to this text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from spawners.launch import (
    Chunk,
    Exit,
    Gap,
    Identity,
    Launch,
    Resized,
    SessionRef,
    Size,
    TerminalState,
    Typed,
)

__all__ = ["Answers", "Session", "Spawner"]

Answers = Callable[[int, int], Awaitable[bytes]]
"""Called with a range of the output: returns a terminal's replies to the queries in it, in order."""


class Session(Protocol):
    """One started program, owned by its keeper; this object is only a line to that keeper.

    Dropping a session (`detach`, or the death of this process) never touches the program.
    """

    @property
    def ref(self) -> SessionRef: ...

    @property
    def identity(self) -> Identity:
        """The program's own process: never a launcher's, a shell's or the keeper's."""

    @property
    def started_ms(self) -> int:
        """When exec succeeded, in epoch milliseconds by this host's clock."""

    async def wait(self) -> Exit:
        """Return when the program and, unless leftovers are kept, its whole tree have ended.

        The same `Exit` is returned to every caller and after any number of reattachments.
        Raises `SessionLost` if the keeper is gone without an exit record.
        """

    def output(self, offset: int = 0, *, follow: bool = False) -> AsyncIterator[Chunk | Gap | Resized]:
        """Yield what was written from absolute `offset` on, in order, without loss or repetition.

        What rotation or a full disk took is yielded as a `Gap`. With `follow` the iterator goes on
        until the program's output has ended; without, until the present end. A reader that is too
        slow costs the program nothing; while it follows, rotation waits for it up to a hard bound.

        Of a program in a terminal there is also a `Resized` in front of the first bytes, with the size
        that held there, and wherever the size changed.
        """

    async def grown(self, offset: int) -> None:
        """Return once there is output behind `offset`, or never will be."""

    async def write(self, data: bytes, *, timeout_s: float = 10.0) -> None:
        """Put `data` into the program's input and return once the kernel has taken all of it.

        Raises `SessionBusy` if that takes longer than `timeout_s`, and `SessionEnded`.
        """

    async def give(self, offset: int, data: bytes) -> None:
        """Put `data` into the program's input as its bytes from `offset` on, however long that takes.

        Bytes that were given before, by whatever daemon, are not given again: so that one may repeat
        all it has ever wanted to say. Not to be mixed with `write`. Raises `SessionEnded` once the
        program does not read any more, and `SpawnerError` where bytes before `offset` were not given.
        """

    async def close_stdin(self) -> None:
        """Let the program read end of file after what has been written.

        In a terminal that is the end-of-file character, which a program in raw mode reads as a key.
        """

    async def type(self, data: bytes, *, timeout_s: float = 10.0) -> Typed:
        """Put `data` into a terminal on behalf of a program, never of a person, in one piece.

        While a person types it raises `SessionTyping` and nothing is written. A line that the
        terminal's line editor could not hold (4,095 bytes) is refused as `SpawnerError` before any of
        it is written. Raises also `NoTerminal`, `SessionBusy` and `SessionEnded`.
        """

    async def terminal(self) -> TerminalState:
        """How the agent's terminal stands. Raises `NoTerminal` and `SessionEnded`."""

    def respond(self, answers: Answers) -> None:
        """Have `answers` give what the terminal replies to what the program asks it.

        Without anybody who does, the program gets the few answers that need no emulation.
        """

    async def resize(self, size: Size) -> None:
        """Give the terminal another size; the program hears of it by SIGWINCH.

        Attached viewers that count win over it. Raises `NoTerminal` and `SessionEnded`.
        """

    async def signal(self, number: int) -> None:
        """Send signal `number` to the program's process group. Raises `SessionEnded`."""

    async def stop(self, *, interrupt_s: float = 2.0, terminate_s: float = 5.0) -> Exit:
        """End the whole tree: interrupt, wait, terminate, wait, kill until nothing is left.

        The keeper climbs the rungs, so a stop that has begun is finished even if this process
        dies. Safe to repeat; a repeat with shorter times shortens them. Returns the exit record.
        """

    async def live_members(self) -> tuple[Identity, ...]:
        """The processes of the tree that are alive now, the program first."""

    async def detach(self) -> None:
        """Close the line to the keeper and leave everything running."""


class Spawner(Protocol):
    """Starts agents on this host and finds them again.

    A spawner knows processes and terminals. It does not know levels, worktrees or the
    relay: by the time a `Launch` reaches it, all of that has been decided. Add a way to
    run agents by writing one of these and listing it in `tests/contracts/spawner_fixtures.py`,
    where the contract tests will hold it to this text.
    """

    async def spawn(self, launch: Launch) -> Session:
        """Start `launch` and return the session that owns it, once exec has succeeded.

        Raises `SpawnFailed` if the program could not be executed; nothing is left
        running in that case. Spawning the same `agent_id` twice raises it too.
        """

    async def reattach(self, ref: SessionRef) -> Session:
        """Take up a session that an earlier daemon started, running or ended.

        Raises `SessionLost` if there is neither a keeper nor an exit record; whatever of the
        agent's tree was still found alive is ended first. A pid alone is never trusted: the
        process must also have the start time and boot that were written down.
        """

    def collected(self, ref: SessionRef) -> None:
        """The caller has written down how the session ended: delete what its program was given.

        Environment values and input are secrets that nothing needs any more; argv, the output and
        the exit record stay until `forget`.
        """

    async def forget(self, ref: SessionRef) -> None:
        """Delete an ended session's directory: spec, spool, exit record. A running one is refused."""
