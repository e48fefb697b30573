"""A view of an agent's terminal, from the moment in which its line is open."""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import AsyncIterator

import pytest

from orchestrator.cli.viewer.terminal import Terminal
from orchestrator.cli.viewer.view import view
from spawners._os import OwnTty
from spawners.launch import Size

pytestmark = pytest.mark.needs("posix")


class Resizable:
    """A source whose agent ends once it has been given a size, or `at_once`."""

    def __init__(self, at_once: bool) -> None:
        self.sizes: list[Size] = []
        self._ended = asyncio.Event()
        if at_once:
            self._ended.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self._ended.wait()
        yield b""

    async def type(self, data: bytes) -> None: ...

    async def resize(self, size: Size) -> None:
        self.sizes.append(size)
        self._ended.set()

    async def close(self) -> None: ...


@pytest.mark.parametrize(("opened", "given"), [(Size(24, 80), [Size(30, 100)]), (Size(30, 100), [])])
async def test_a_size_that_changed_before_the_view_listened_is_not_missed(
    opened: Size, given: list[Size]
) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    source = Resizable(at_once=not given)
    async with asyncio.timeout(30):
        terminal = Terminal(OwnTty.open(theirs))
        assert await view(terminal, source, opened, keys=b"", read_only=False, hint="")
    assert source.sizes == given
    os.close(ours)
    os.close(theirs)
