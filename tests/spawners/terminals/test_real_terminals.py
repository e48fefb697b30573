"""Every terminal that is here, opened for real: what a window reports is looked at from inside of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from desktop import Desktop, WaylandDesktop, XDesktop
from muster_processes import PYTHON, until
from reporting import PLAIN_TERMINAL, Reporting

from spawners.terminals.base import Desktop as Found
from spawners.terminals.base import Terminal, Wanted
from spawners.terminals.catalog import terminals
from spawners.terminals.desktop import find_desktop
from spawners.terminals.gpu import Alacritty
from spawners.terminals.window import NotFocused, NoWindow, Opened, focus_window, open_window

ARGV = ("a b", "q'u\"o$HOME;x", "", "100%", "two\nlines", "-e", "é漢")
X11 = (
    *("gnome-terminal", "konsole", "xfce4-terminal", "mate-terminal", "kitty", "alacritty", "tilix"),
    *("qterminal", "lxterminal", "terminator", "kgx", "urxvt", "xterm", "st", "x-terminal-emulator"),
    *("ptyxis", "ghostty", "wezterm", "xdg-terminal-exec"),
)
WAYLAND = ("foot", "kitty", "alacritty", "gnome-terminal")
TABS = ("xfce4-terminal", "mate-terminal", "kitty", "kgx", "tilix")


def each(names: tuple[str, ...], session: str) -> pytest.MarkDecorator:
    values = [pytest.param(name, marks=pytest.mark.needs(name, session), id=name) for name in names]
    return pytest.mark.parametrize("name", values)


def terminal(name: str) -> Terminal:
    return next(one for one in terminals() if one.name == name)


async def opened(one: Terminal, attempt: Reporting, found: Found, *, tab: bool = False) -> Opened:
    return await open_window([one], lambda _: attempt, Wanted("muster", "/usr", tab), found.env)


async def gone(attempt: Reporting) -> None:
    async with asyncio.timeout(10):
        await attempt.gone.wait()


def vanishes(desktop: Desktop, attempt: Reporting) -> None:
    until(lambda: all(attempt.name not in one.title for one in desktop.windows()), "the window to go", 10)


def check(attempt: Reporting, result: Opened, own: str) -> None:
    said = attempt.said
    assert said["leads"]
    assert said["argv"] == list(ARGV)
    assert said["env"]["OWN"] == own
    assert said["cwd"] == "/usr/share"
    assert said["tty"].startswith("/dev/pts/")
    assert result.report.pid == said["pid"] != result.launcher_pid
    assert result.report.size.rows > 5 and result.report.size.columns > 20
    assert not attempt.voided


async def two_windows(one: Terminal, desktop: Desktop, folder: Path, shot: Path) -> Opened:
    """Open two at once, look at both, close the one and let the program in the other end."""
    found = await find_desktop(desktop.env)
    closes = Reporting(folder, argv=ARGV, env={"OWN": "first é"}, cwd="/usr/share")
    ends = Reporting(folder, argv=ARGV, env={"OWN": "second $x"}, cwd="/usr/share")
    async with closes, ends:
        first, second = await asyncio.gather(opened(one, closes, found), opened(one, ends, found))
        check(closes, first, "first é")
        check(ends, second, "second $x")
        window, _ = desktop.window(closes.name), desktop.window(ends.name)
        if isinstance(desktop, XDesktop) and one.focuses(found, os.environ["PATH"]):
            await focus_window(one, second.report.handles, found.env)
            await focus_window(one, first.report.handles, found.env)
            until(lambda: desktop.active() == int(window.handle, 16), "the window to be in front", 10)
        desktop.screenshot(shot)
        desktop.close(window)
        await gone(closes)
        assert closes.signal in (signal.SIGHUP, signal.SIGTERM)
        vanishes(desktop, closes)
        assert not ends.gone.is_set()
        ends.exit(7)
        await gone(ends)
        assert ends.signal is None
        if one.stays:
            desktop.close(next(iter(desktop.windows())))
        vanishes(desktop, ends)
    return first


@pytest.mark.slow
@each(X11, "xvfb")
async def test_two_windows_on_x11_keep_apart_and_tell_how_they_end(
    name: str, x_desktop: XDesktop, folder: Path, shots: Path
) -> None:
    await two_windows(terminal(name), x_desktop, folder, shots)
    until(lambda: not x_desktop.windows(), "all windows to be gone", 10)


@pytest.mark.slow
@each(WAYLAND, "wayland")
async def test_two_windows_on_wayland_keep_apart_and_tell_how_they_end(
    name: str, wayland_desktop: WaylandDesktop, folder: Path, shots: Path
) -> None:
    await two_windows(terminal(name), wayland_desktop, folder, shots)


@pytest.mark.slow
@each(TABS, "xvfb")
async def test_a_tab_goes_into_the_window_that_is_there(
    name: str, x_desktop: XDesktop, folder: Path, shots: Path
) -> None:
    one, found = terminal(name), await find_desktop(x_desktop.env)
    async with Reporting(folder) as first, Reporting(folder) as second:
        await opened(one, first, found, tab=True)
        x_desktop.window(first.name)
        await opened(one, second, found, tab=True)
        x_desktop.window(second.name)
        assert len(x_desktop.windows()) == 1
        x_desktop.screenshot(shots)
        for attempt in (first, second):
            attempt.exit(0)
            await gone(attempt)


@pytest.mark.slow
@pytest.mark.needs("xvfb", "gnome-terminal")
async def test_a_tab_of_gnome_terminal_goes_beside_the_one_that_asks(
    x_desktop: XDesktop, folder: Path
) -> None:
    one, found = terminal("gnome-terminal"), await find_desktop(x_desktop.env)
    async with Reporting(folder) as first, Reporting(folder) as second:
        await opened(one, first, found)
        await opened(one.inside(first.said["env"]), second, found, tab=True)
        x_desktop.window(second.name)
        assert len(x_desktop.windows()) == 1
        for attempt in (first, second):
            attempt.exit(0)
            await gone(attempt)
    until(lambda: not x_desktop.windows(), "all windows to be gone", 10)


@pytest.mark.slow
@pytest.mark.needs("xvfb", "kitty")
async def test_a_tab_of_a_kitty_that_is_gone_is_a_window(x_desktop: XDesktop, folder: Path) -> None:
    one, found = terminal("kitty"), await find_desktop(x_desktop.env)
    async with Reporting(folder) as attempt:
        stale = one.inside({"KITTY_LISTEN_ON": f"unix:{folder}/nobody"})
        await opened(stale, attempt, found, tab=True)
        x_desktop.window(attempt.name)
        attempt.exit(0)
        await gone(attempt)
        vanishes(x_desktop, attempt)


class Broken(Alacritty):
    def argv(
        self, program: str, command: tuple[str, ...], title: str, cwd: str, *, tab: bool = False
    ) -> tuple[str, ...]:
        return (program, "--nonsense")


@pytest.mark.slow
@pytest.mark.needs("xvfb", "xterm", "alacritty")
async def test_a_terminal_that_cannot_draw_says_why_and_the_next_one_opens(
    x_desktop: XDesktop, folder: Path
) -> None:
    found = await find_desktop(x_desktop.env)
    made: list[Reporting] = []

    def begin(_: Terminal) -> Reporting:
        return made.pop()

    async with Reporting(folder) as first, Reporting(folder) as second:
        made += [second, first]
        result = await open_window([Broken(), terminal("xterm")], begin, Wanted("muster", "/"), found.env)
        assert result.terminal == "xterm"
        assert [name for name, _ in result.failed] == ["alacritty"]
        assert "--nonsense" in result.failed[0][1]
        assert first.voided and not second.voided
        second.exit(0)
        await gone(second)


@pytest.mark.slow
@pytest.mark.needs("xvfb", "xterm")
async def test_a_window_that_is_gone_cannot_be_raised(x_desktop: XDesktop, folder: Path) -> None:
    one, found = terminal("xterm"), await find_desktop(x_desktop.env)
    async with Reporting(folder) as attempt:
        handles = (await opened(one, attempt, found)).report.handles
        attempt.exit(0)
        await gone(attempt)
        vanishes(x_desktop, attempt)
        with pytest.raises(NotFocused, match=r"wmctrl|front"):
            await focus_window(one, handles, found.env)


# -- without a display


def said_by(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, check=True, timeout=30, text=True).stdout.strip()


def tmux(attempt: Reporting, *words: str) -> str:
    return said_by("tmux", "-S", attempt.said["env"]["TMUX"].partition(",")[0], *words)


def attached(*argv: str) -> subprocess.Popen[bytes]:
    """Somebody who looks at a session, by these words."""
    return subprocess.Popen(
        [PYTHON, "-I", "-S", PLAIN_TERMINAL, *argv],
        env={**os.environ, "TERM": "xterm"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.needs("tmux")
async def test_tmux_keeps_a_window_on_a_server_of_ours_and_adds_to_one_that_runs(
    folder: Path, shots: Path
) -> None:
    one, found = terminal("tmux"), Found(os.environ, None)
    first = Reporting(folder, argv=ARGV, env={"OWN": "x"}, cwd="/usr/share")
    second = Reporting(folder, argv=ARGV, env={"OWN": "y"}, cwd="/usr/share")
    async with first, second:
        check(first, await opened(one, first, found), "x")
        session = tmux(first, "list-sessions", "-F", "#{session_name} #{session_windows}")
        assert session == f"{first.name} 1"
        inside = one.inside(first.said["env"])
        with pytest.raises(NoWindow, match=r"nobody is attached to session \$0 of the tmux at "):
            await opened(inside, second, found)
        second.voided = ""
        viewer = attached("tmux", "-S", first.said["env"]["TMUX"].partition(",")[0], "attach")
        until(lambda: tmux(first, "list-clients") != "", "somebody to be attached", 10)
        result = await opened(inside, second, found)
        check(second, result, "y")
        assert tmux(first, "list-sessions", "-F", "#{session_windows}") == "2"
        shots.with_suffix(".txt").write_text(tmux(first, "capture-pane", "-p"))
        tmux(first, "select-window", "-t", first.said["env"]["TMUX_PANE"])
        await focus_window(one, result.report.handles, found.env)
        assert tmux(first, "display-message", "-p", "#{pane_id}") == second.said["env"]["TMUX_PANE"]
        tmux(first, "detach-client", "-s", "$0")
        viewer.wait(10)
        with pytest.raises(NotFocused):
            await focus_window(one, result.report.handles, found.env)
        tmux(first, "kill-pane", "-t", first.said["env"]["TMUX_PANE"])
        await gone(first)
        assert first.signal == signal.SIGHUP
        second.exit(0)
        await gone(second)


def listed_by_screen() -> str:
    """Its exit code means something else in each version."""
    return subprocess.run(["screen", "-ls"], capture_output=True, check=False, timeout=30, text=True).stdout


@pytest.mark.needs("screen")
async def test_screen_keeps_a_window_and_adds_to_one_that_runs(folder: Path) -> None:
    one, found = terminal("screen"), Found(os.environ, None)
    first = Reporting(folder, argv=ARGV, env={"OWN": "x"}, cwd="/usr/share")
    second = Reporting(folder, argv=ARGV, env={"OWN": "y"}, cwd="/usr/share")
    async with first, second:
        result = await opened(one, first, found)
        check(first, result, "x")
        session, inside = first.said["env"]["STY"], one.inside(first.said["env"])
        with pytest.raises(NoWindow, match=f"nobody is attached to the screen {session}"):
            await opened(inside, second, found)
        second.voided = ""
        viewer = attached("screen", "-r", session)
        until(lambda: "(Attached)" in listed_by_screen(), "somebody to be attached", 10)
        check(second, await opened(inside, second, found), "y")
        assert second.said["env"]["STY"] == first.said["env"]["STY"]
        first.exit(0)
        await gone(first)
        said_by("screen", "-S", second.said["env"]["STY"], "-X", "quit")
        await gone(second)
        assert second.signal == signal.SIGHUP
        viewer.wait(10)
