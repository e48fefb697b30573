"""One viewer of an agent's terminal, straight to its keeper: no daemon is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from spawners.launch import Exit, Resized, Size, Viewer

__all__ = ["Attachment"]


class Attachment:
    """What a viewer's terminal must be given, and what its person types.

    Reads at its own pace: a viewer that is too slow skips to a fresh screen, the agent and the other
    viewers never wait. Queries to the terminal have been taken out: they are answered elsewhere.
    """

    exit: Exit | None = None
    """How the program ended, once the iteration has ended because of that."""

    @classmethod
    async def open(cls, directory: str, viewer: Viewer) -> Attachment:
        """Attach to the agent whose files are in `directory`.

        Raises `NoTerminal`, `SessionEnded` for one that has ended, and `SpawnerError` if its keeper
        cannot be reached.
        """
        raise NotImplementedError

    @property
    def size(self) -> Size:
        """The size of the agent's terminal now."""
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[bytes | Resized]:
        """Yield bytes to write to the viewer's terminal, the present screen first, and a `Resized`
        whenever the size of the agent's terminal has changed.

        Ends when the program has ended and all was yielded. Raises `SpawnerError` if the keeper is
        gone without that.
        """
        raise NotImplementedError

    async def type(self, data: bytes) -> None:
        """Put a person's keys into the program's input; returns when the kernel has taken them.

        Raises `SessionEnded`, and `SpawnerError` for a read-only viewer.
        """
        raise NotImplementedError

    async def resize(self, size: Size) -> None:
        """The viewer's own terminal has another size now; it gets a fresh screen."""
        raise NotImplementedError

    async def close(self) -> None:
        """Detach. The program goes on."""
        raise NotImplementedError
