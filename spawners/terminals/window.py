"""Opening a window: one terminal after the other, until one reports in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from spawners.errors import SpawnerError
from spawners.terminals.base import Attempt, Report, Terminal, Wanted

__all__ = ["NoWindow", "NotFocused", "Opened", "focus_window", "open_window"]

LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Opened:
    terminal: str
    report: Report
    launcher_pid: int | None = None
    failed: tuple[tuple[str, str], ...] = ()


class NoWindow(SpawnerError):
    """No terminal has opened one: `tries` are (terminal, why), in order."""

    def __init__(self, tries: Sequence[tuple[str, str]]) -> None:
        self.tries = tuple(tries)
        said = "; ".join(f"{terminal}: {why}" for terminal, why in self.tries)
        super().__init__(f"no window could be opened: {said or 'there is no terminal to try'}")


class NotFocused(SpawnerError):
    """The window is not in front; the message says why."""


async def open_window(
    candidates: Sequence[Terminal],
    begin: Callable[[Terminal], Attempt],
    wanted: Wanted,
    env: Mapping[str, str],
    *,
    timeout_s: float = 15.0,
    shelter: Callable[[int], Awaitable[None]] | None = None,
) -> Opened:
    """Open a window in the first of `candidates` that can. Raises `NoWindow`."""
    tries: list[tuple[str, str]] = []
    for terminal in candidates:
        program = terminal.installed(env.get("PATH", os.defpath))
        if program is None:
            tries.append((terminal.name, "is not installed"))
            continue
        attempt = begin(terminal)
        opener = terminal.opener(program, attempt.command, wanted.title, wanted.cwd, tab=wanted.tab)
        try:
            pid, report = await _try(opener.argv, attempt, env, timeout_s, shelter)
        except _Failed as failed:
            attempt.void(str(failed))
            tries.append((terminal.name, str(failed)))
        except BaseException:
            attempt.void("it was not waited for any longer")
            raise
        else:
            return Opened(terminal.name, report, pid, tuple(tries))
    raise NoWindow(tries)


async def focus_window(terminal: Terminal, handles: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Bring the window with these handles to the front. Raises `NotFocused` if it is not."""
    program = terminal.installed(env.get("PATH", ""))
    opener = terminal.focus(program, handles) if program else None
    if opener is None:
        raise NotFocused(f"{terminal.name} has no way to bring this window to the front")
    if await asyncio.to_thread(subprocess.call, opener.argv, env=dict(env)):
        raise NotFocused(f"{opener.argv[0]} has failed")


class _Failed(Exception):
    pass


async def _try(
    argv: Sequence[str],
    attempt: Attempt,
    env: Mapping[str, str],
    timeout_s: float,
    shelter: Callable[[int], Awaitable[None]] | None,
) -> tuple[int, Report]:
    with tempfile.TemporaryFile() as said:
        try:
            launcher = subprocess.Popen(  # noqa: ASYNC220 - vfork, a millisecond
                argv,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            raise _Failed(str(error)) from None
        if shelter is not None:
            await shelter(launcher.pid)
        reported = asyncio.ensure_future(attempt.reported())
        watch = asyncio.ensure_future(_ended(launcher))
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wait((reported, watch), return_when=asyncio.FIRST_COMPLETED)
                if not reported.done() and watch.result() != 0:
                    said.seek(0)
                    words = said.read(2000).decode("utf-8", "replace").strip()
                    raise _Failed(words or f"it exited with {watch.result()} before a window opened")
                return launcher.pid, await reported
        except TimeoutError:
            raise _Failed(f"no window reported in within {timeout_s:g} s") from None
        finally:
            reported.cancel()
            if not watch.done():
                _reapers.add(watch)
                watch.add_done_callback(_reapers.discard)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(reported, return_exceptions=True)


_reapers: set[asyncio.Future[int]] = set()


async def _ended(launcher: subprocess.Popen[bytes]) -> int:
    while launcher.poll() is None:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(LOOK_S)
    return launcher.returncode
