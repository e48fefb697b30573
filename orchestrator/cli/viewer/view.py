"""One look at an agent's terminal: shows it, hands keys on, and ends when either side does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.viewer.detach import DetachKeys
from orchestrator.cli.viewer.source import Outage, Source
from orchestrator.cli.viewer.terminal import Terminal
from spawners._os import listen
from spawners.errors import SessionEnded
from spawners.launch import Size

__all__ = ["Signalled", "view"]

HINT_S = 0.8
"""How long the hint is shown unless a key is typed: enough to read `ctrl-] d detaches`."""
CLOSE_S = 2.0
"""For a keeper or relay to take leave of; then it is left without."""
PIECE = 64 * 1024
UNTYPED = 16 * 1024 * 1024
"""Bytes that wait for a program that does not read. What is typed beyond is dropped, with a bell."""
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class Signalled(Exception):
    """Somebody has told this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


@dataclass(frozen=True, slots=True)
class _Keys:
    """What is for the agent (nothing for a viewer who only reads), and the keys that detach."""

    detach: DetachKeys
    read_only: bool


async def view(
    terminal: Terminal, source: Source, size: Size, *, keys: bytes, read_only: bool, hint: str
) -> bool:
    """Show `source`, opened for a terminal of that `size`, until the agent has ended (True) or the person has
    detached or hung up (False).

    A `hint` is shown for a moment first. Whatever happens, the terminal is afterwards as it was. Raises
    `Signalled`, and what `source` raises.
    """
    looking = _View(terminal, source, _Keys(DetachKeys(keys), read_only))
    try:
        with _signals(looking):
            terminal.enter()
            terminal.on_resize(looking.size_changed)
            if terminal.size != size:  # before anybody listened: a window is laid out while it opens
                looking.size_changed()
            return await looking.run(hint)
    finally:
        terminal.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await source.close()


class _View:
    def __init__(self, terminal: Terminal, source: Source, keys: _Keys) -> None:
        self._terminal = terminal
        self._source = source
        self._keys = keys
        self._told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._resized = asyncio.Event()
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._first_key = asyncio.Event()

    async def run(self, hint: str) -> bool:
        works = (self._listen(), self._type(), self._follow_size(), self._show(hint))
        tasks = [asyncio.ensure_future(work) for work in works]
        waited: list[asyncio.Future[Any]] = [self._told, *tasks]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in reversed(tasks) if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if ended:  # the agent's end first: it tells more than what it did to the other tasks
            return ended[0].result()
        raise Signalled(self._told.result())

    # -- signals

    def end(self, number: int) -> None:
        if not self._told.done():
            self._told.set_result(number)

    def size_changed(self) -> None:
        self._resized.set()

    def suspend(self) -> None:
        """As a shell's `^Z` would, which itself goes to the agent; this one came from outside."""
        self._terminal.leave()
        os.kill(os.getpid(), getattr(signal, "SIGSTOP"))  # noqa: B009 # Windows has none
        self.resume()

    def resume(self) -> None:
        self._terminal.enter()
        self._resized.set()

    # -- the agent's side

    async def _show(self, hint: str) -> bool:
        if hint:
            await self._hint(hint)
        async for item in self._source:
            if isinstance(item, bytes):
                await self._terminal.show(item)
                if self._terminal.stale:
                    self._resized.set()
            elif isinstance(item, Outage) and item.reason:
                await self._terminal.note(item.reason)
        return True

    async def _hint(self, words: str) -> None:
        await self._terminal.write(words.encode("utf-8", "replace"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HINT_S):  # `wait_for` may miss that a first key detaches (Python 3.11)
                await self._first_key.wait()

    async def _follow_size(self) -> bool:
        while True:
            await self._resized.wait()
            self._resized.clear()
            await self._source.resize(self._terminal.size)

    # -- the person's side

    async def _listen(self) -> bool:
        """Return once they have detached, or their terminal is gone."""
        while typed := await self._terminal.read():
            data = self._keys.detach.feed(typed)
            self._first_key.set()
            if data and not self._keys.read_only:
                if self._waiting + len(data) > UNTYPED:
                    await self._terminal.bell()
                else:
                    self._waiting += len(data)
                    self._typed.put_nowait(data)
            if self._keys.detach.detached:
                break
        return False

    async def _type(self) -> bool:
        while True:
            data = await self._typed.get()
            try:
                for at in range(0, len(data), PIECE):
                    await self._source.type(data[at : at + PIECE])
            except BlockingIOError:
                await self._terminal.bell()
            except SessionEnded:
                await asyncio.Event().wait()  # what it has painted last is still to be shown
            self._waiting -= len(data)


@contextlib.contextmanager
def _signals(looking: _View) -> Iterator[None]:
    handlers: dict[str, Callable[[], object]] = {
        "SIGWINCH": looking.size_changed,
        "SIGTSTP": looking.suspend,
        "SIGCONT": looking.resume,
    }
    for name in ENDING:
        if hasattr(signal, name):
            handlers[name] = _ender(looking, getattr(signal, name))
    stop = listen(handlers)
    try:
        yield
    finally:
        stop()


def _ender(looking: _View, number: int) -> Callable[[], None]:
    return lambda: looking.end(number)
