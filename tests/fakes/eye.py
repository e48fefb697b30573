"""A viewer of an agent's terminal in tests: an attachment, and the terminal that its bytes go to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keeper_peer import seen_until

from spawners.attach import Attachment
from spawners.client import KeeperSpawner
from spawners.keeper_session import KeeperSession
from spawners.launch import Launch, Resized, Size, Viewer
from spawners.screen.base import Screen
from spawners.screen.engines import open_screen
from spawners.watch import Watches

__all__ = ["Eye", "assert_same", "painted", "true_screen"]

Scripted = Callable[..., Launch]
PAINTING = "\x1b[?1049h\x1b[2J\x1b[3;5H\x1b[1;38;5;120mgreen 中文\x1b[0m\x1b[?2004h\x1b[12;1H".encode()


class Eye:
    """A viewer: an attachment and the terminal that its bytes go to."""

    def __init__(self, attachment: Attachment, view: Size) -> None:
        self.attachment = attachment
        self.screen: Screen = open_screen(view)
        self.screen.feed(b"rubbish\x1b[7m\x1b[5;10r\x1b[?1h")  # of whatever was there before
        self.resized: list[Size] = []
        self.bytes = 0
        self._items = aiter(attachment)

    @classmethod
    async def open(cls, session: KeeperSession, view: Size | None = None, *, read_only: bool = False) -> Eye:
        view = view or Size()
        return cls(await Attachment.open(session.ref.directory, Viewer("eye", view, read_only)), view)

    async def see(self) -> bool:
        """Take the next item; False at the end."""
        try:
            item = await asyncio.wait_for(anext(self._items), 60)
        except StopAsyncIteration:
            return False
        if isinstance(item, Resized):
            self.resized.append(item.size)
        else:
            self.screen.feed(item)
            self.bytes += len(item)
        return True

    async def see_until(self, text: str) -> None:
        while text not in "\n".join(self.screen.text()):
            assert await self.see(), self.screen.text()


def assert_same(seen: Screen, truth: Screen) -> None:
    """Cell by cell, and all that decides what the next byte does."""
    assert seen.text() == truth.text()
    assert seen.cells() == truth.cells()
    assert (seen.cursor, seen.modes, seen.title) == (truth.cursor, truth.modes, truth.title)


async def true_screen(session: KeeperSession) -> Screen:
    watches = Watches()
    look = await watches.look(session)
    watches.close()
    return look.screen


async def painted(spawner: KeeperSpawner, scripted: Scripted, *steps: str, **fields: object) -> KeeperSession:
    """A program in raw mode that has painted, said `up`, and goes on with `steps`."""
    first = ("raw-mode", f"raw:{PAINTING.hex()}", "print:up")
    session = await spawner.spawn(scripted(*first, *steps, **({"size": Size()} | fields)))
    await seen_until(session, b"up")
    return session
