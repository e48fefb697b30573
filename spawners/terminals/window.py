"""Opening a window: one terminal after the other, until what runs in one of them reports in.

The launcher tells next to nothing. That it ends with an error before the report means that it has failed;
that it ends well, or goes on, means nothing. So the report is waited for, and whoever gives a try up voids
it first: of two windows only one ever counts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spawners.errors import SpawnerError
from spawners.terminals.base import Attempt, Report, Terminal, Wanted
from spawners.terminals.launcher import Launcher, LauncherFailed
from spawners.terminals.xwindow import TERMINAL_PID, with_window_id

__all__ = ["NoWindow", "NotFocused", "Opened", "Shelter", "focus_window", "open_window"]

REPORT_S = 15.0
"""The slowest terminal on a slow machine took a second; a first start may have caches to fill."""
SERVED_S = 5.0
"""From the end of a launcher whose window another process opens: the child is forked by then, or never is."""
FOCUS_S = 12.0
"""Longer than an event of AppleScript may take: if nobody answers it, macOS itself says what is wrong."""
Shelter = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A window that has reported in. `launcher_pid` is None once that program has ended, `failed` are the
    terminals that were tried before it, each with why."""

    terminal: str
    report: Report
    launcher_pid: int | None = None
    failed: tuple[tuple[str, str], ...] = ()


class NoWindow(SpawnerError):
    """No terminal has opened a window. `tries` are all that were tried, in order, each with why it failed."""

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
    timeout_s: float = REPORT_S,
    shelter: Shelter | None = None,
) -> Opened:
    """Try the terminals in their order; return the first window that reports in, `timeout_s` for each.

    `begin` makes the attempt that a terminal is to open, `env` is the whole environment of the launchers.
    `shelter` is called with the pid of a launcher before it executes anything, to put it where it outlives
    us. Each try is voided before the next one begins, and its launcher ended if it still runs: no window
    of it stays. A terminal whose windows another process opens is tried once more if its launcher has ended
    and there is no window: that process may have been leaving. Raises `NoWindow` if all have failed.
    """
    failed: list[tuple[str, str]] = []
    turns = deque((terminal, terminal.served or (wanted.tab and terminal.tabs)) for terminal in candidates)
    while turns:
        terminal, again = turns.popleft()
        attempt = begin(terminal)
        launcher: Launcher | None = None
        try:
            launcher = await _launched(terminal, attempt, wanted, env, shelter)
            report = await _reported(attempt, launcher, timeout_s, SERVED_S if again else timeout_s)
        except LauncherFailed as error:
            _give_up(attempt, launcher, str(error))
            if again and launcher is not None and launcher.pid is None:
                turns.appendleft((terminal, False))
            else:
                failed.append((terminal.name, terminal.explain(str(error))))
        except BaseException:
            _give_up(attempt, launcher, "the opening was given up")
            raise
        else:
            launcher.opened()
            if launcher.pid is not None:
                report = replace(report, handles={**report.handles, TERMINAL_PID: str(launcher.pid)})
            return Opened(terminal.name, report, launcher.pid, tuple(failed))
    raise NoWindow(failed)


def _give_up(attempt: Attempt, launcher: Launcher | None, why: str) -> None:
    attempt.void(why)
    if launcher is not None:
        launcher.end()


async def focus_window(terminal: Terminal, handles: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Bring the window with these handles to the front. Raises `NotFocused` if it is not."""
    program = terminal.installed(env.get("PATH", ""))
    opener = terminal.focus(program, await with_window_id(handles, env)) if program else None
    if opener is None:
        raise NotFocused(f"{terminal.name} has no way to bring this window to the front")
    try:
        launcher = await Launcher.start(opener, "/", env)
    except LauncherFailed as error:
        raise NotFocused(str(error)) from None
    try:
        async with asyncio.timeout(FOCUS_S):
            await launcher.ended
    except TimeoutError:
        raise NotFocused(f"{opener.argv[0]} has not ended after {FOCUS_S:g} s") from None
    finally:
        launcher.end()
    if launcher.failure:
        raise NotFocused(terminal.explain(launcher.failure))


async def _launched(
    terminal: Terminal, attempt: Attempt, wanted: Wanted, env: Mapping[str, str], shelter: Shelter | None
) -> Launcher:
    program = terminal.installed(env.get("PATH", ""))
    if program is None:
        raise LauncherFailed(f"none of {', '.join(terminal.programs)} is on PATH")
    tab = wanted.tab and terminal.tabs
    try:
        opener = terminal.opener(program, attempt.command, wanted.title, wanted.cwd, tab=tab)
    except SpawnerError as error:  # words that this terminal cannot be given
        raise LauncherFailed(str(error)) from error
    return await Launcher.start(opener, wanted.cwd, env, shelter)


async def _reported(attempt: Attempt, launcher: Launcher, timeout_s: float, after_end_s: float) -> Report:
    """What the window says. Raises `LauncherFailed` once it is known, or must be assumed, that none will;
    `after_end_s` is how long the launcher may have ended without an error by then."""
    report = asyncio.ensure_future(attempt.reported())
    either: tuple[asyncio.Future[Any], ...] = (report, launcher.ended)
    try:
        async with asyncio.timeout(timeout_s) as limit:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not report.done() and launcher.failure:
                raise LauncherFailed(launcher.failure)
            if launcher.pid is None:
                ends = asyncio.get_running_loop().time() + after_end_s
                limit.reschedule(min(limit.when() or ends, ends))
            return await report
    except TimeoutError:
        raise LauncherFailed(launcher.silence(timeout_s)) from None
    finally:
        report.cancel()
