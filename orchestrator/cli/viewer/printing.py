"""An agent's terminal as bytes on stdout, for whoever reads them there: no keys, no settings."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from orchestrator.cli.viewer.source import Outage, Source
from orchestrator.cli.viewer.view import ENDING, Signalled
from spawners._os import listen
from spawners.launch import Resized, Size
from spawners.screen.paint import restore

__all__ = ["output_size", "print_all"]


def output_size() -> Size | None:
    """The size of the terminal behind stdout, None if it is none."""
    try:
        columns, rows = os.get_terminal_size(1)
    except OSError:
        return None
    return Size(rows, columns) if Size(rows, columns).valid else None


async def print_all(source: Source, *, own: bool) -> bool:
    """Print until the agent has ended. Raises `Signalled`, and what `source` raises.

    With `own` stdout is a terminal of its own size, which is put in order at the end; else the size
    is always that of the agent's.
    """
    printing = asyncio.ensure_future(_print(source, own=own))
    number: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = listen({name: _teller(name, number) for name in ENDING if hasattr(signal, name)})
    waited: list[asyncio.Future[Any]] = [printing, number]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not printing.done():
            raise Signalled(number.result())
        printing.result()
        return True
    finally:
        stop()
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)
        await source.close()
        if own:
            _write(restore())


async def _print(source: Source, *, own: bool) -> None:
    async for item in source:
        if isinstance(item, bytes):
            _write(item)
        elif isinstance(item, Resized) and not own:
            await source.resize(item.size)
        elif isinstance(item, Outage) and item.reason:
            print(f"muster: {item.reason}", file=sys.stderr, flush=True)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _teller(name: str, told: asyncio.Future[int]) -> Callable[[], None]:
    def tell() -> None:
        if not told.done():
            told.set_result(getattr(signal, name))

    return tell
