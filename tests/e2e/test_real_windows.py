"""An agent in each terminal that is here, as a user sees it: started, shut, brought back, stopped, ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from desktop import Desktop, WaylandDesktop, XDesktop
from muster_command import Muster
from muster_processes import PYTHON, until
from running import Host

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.terminal import OpenRequest, SendRequest
from relay.wire.windows import Window, WindowState

X11 = (
    *("gnome-terminal", "konsole", "xfce4-terminal", "mate-terminal", "kitty", "alacritty", "tilix"),
    *("qterminal", "lxterminal", "terminator", "kgx", "urxvt", "xterm", "st", "x-terminal-emulator"),
    *("ptyxis", "ghostty", "wezterm", "xdg-terminal-exec"),
)
WAYLAND = ("foot", "kitty", "alacritty", "gnome-terminal")
STAYS = ("kgx",)
"""Its window stays when what ran in it has ended; nothing but its user can close it."""
TELL = """
import json, os, sys
facts = {"argv": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd(), "tty": os.ttyname(0),
         "pid": os.getpid(), "controls": os.tcgetpgrp(os.open("/dev/tty", os.O_RDWR)) == os.getpgrp(),
         "size": list(os.get_terminal_size(0))}
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(facts, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
print("\\x1b[48;5;201mhello from", os.environ["MUSTER_AGENT_ID"], "\\x1b[0m", flush=True)
sys.exit(int(sys.stdin.readline()))
"""
AWKWARD = ("a b", "q'u\"o", "$HOME", "`id`", "x;y", "%s %PATH%", "two\nlines", "é漢😀", "", "--", "-e", "\\")


def host_on(desktop: Desktop, folder: Path) -> Iterator[Host]:
    host = Host(folder / "host", **desktop.env, MUSTER_TERMINAL_FALLBACK="error")
    host.start()
    yield host
    host.end_agents()


@pytest.fixture(scope="module")
def x_host(x_session: XDesktop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from host_on(x_session, tmp_path_factory.mktemp("x"))


@pytest.fixture(scope="module")
def wayland_host(wayland_session: WaylandDesktop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from host_on(wayland_session, tmp_path_factory.mktemp("w"))


def each(names: tuple[str, ...], session: str) -> pytest.MarkDecorator:
    values = [pytest.param(name, marks=pytest.mark.needs(name, session), id=name) for name in names]
    return pytest.mark.parametrize("name", values)


def window_of(host: Host, agent_id: str, state: WindowState) -> Window:
    """The agent's window, once it has that state."""
    until(
        lambda: (found := host.get(agent_id).window) is not None and found.state is state,
        f"the window of {agent_id} to be {state}",
    )
    window = host.get(agent_id).window
    assert window is not None
    return window


def facts_of(host: Host, agent: ManagedAgent, told: Path) -> dict[str, object]:
    until(lambda: told.exists() or host.get(agent.id).ended, "the program to tell what it found")
    assert told.exists(), host.get(agent.id)
    facts: dict[str, object] = json.loads(told.read_text())
    return facts


def listed(host: Host, agent_id: str) -> dict[str, object]:
    said = Muster(host.home)("ps", "--json")
    return next(agent for agent in said.json if agent["id"] == agent_id)


def teller(host: Host, name: str, folder: Path, told: Path) -> ManagedAgent:
    values = {f"AWKWARD_{number}": value for number, value in enumerate(AWKWARD)}
    return host.spawn(
        *(PYTHON, "-I", "-S", "-c", TELL, str(told), *AWKWARD),
        mode=Mode.TERMINAL, terminal=name, cwd=str(folder), env=values, hold="error", label="build é",
    )  # fmt: skip


def is_as_asked(host: Host, agent: ManagedAgent, name: str, told: Path, folder: Path) -> None:
    facts = facts_of(host, agent, told)
    assert agent.status is Status.RUNNING
    assert facts["argv"] == list(AWKWARD)
    env = facts["env"]
    assert isinstance(env, dict)
    assert [env.get(f"AWKWARD_{number}") for number in range(len(AWKWARD))] == list(AWKWARD)
    assert facts["cwd"] == str(folder)
    assert facts["controls"]
    window = window_of(host, agent.id, WindowState.OPEN)
    assert window.terminal == name
    assert listed(host, agent.id)["pid"] == facts["pid"] == agent.pid != window.pid
    assert window.tty not in (None, facts["tty"])
    assert agent.size is not None
    assert facts["size"] == [agent.size["columns"], agent.size["rows"]]
    assert agent.size["rows"] > 5 and agent.size["columns"] > 20


def lives_in_its_window(host: Host, desktop: Desktop, name: str, tmp_path: Path, shot: Path) -> None:
    folder = tmp_path / "it's a $HOME;é"
    folder.mkdir()
    agent = teller(host, name, folder, tmp_path / "told")
    is_as_asked(host, agent, name, tmp_path / "told", folder)
    shown = desktop.window(agent.id)
    until(lambda: b"hello from" in host.output(agent.id), "its words")
    desktop.close(shown)
    # Some terminals kill what does not leave at once.
    assert window_of(host, agent.id, WindowState.CLOSED).reason in ("it was closed", "its process is gone")
    assert listed(host, agent.id)["status"] == "running"

    with host.client() as client:
        client.call(endpoints.OPEN_AGENT, OpenRequest(), path={"id": agent.id})
    assert window_of(host, agent.id, WindowState.OPEN).terminal == name
    desktop.window(agent.id)
    assert host.stop(agent.id).status is Status.CANCELLED
    closes(host, desktop, name, agent)

    ends = teller(host, name, folder, tmp_path / "told-again")
    facts_of(host, ends, tmp_path / "told-again")
    desktop.window(ends.id)
    with host.client() as client:
        client.call(endpoints.SEND_TO_AGENT, SendRequest(text="7"), path={"id": ends.id})
    ended = host.ended(ends.id)
    assert ended.cause is not None
    assert ended.cause.exit_code == 7
    window = window_of(host, ends.id, WindowState.OPEN)
    until(lambda: reads_its_terminal(window.pid), "the window to wait for Enter")
    until(lambda: is_seen(desktop, shot), "its words to be seen in the window")
    desktop.close(desktop.window(ends.id))
    closes(host, desktop, name, ends)


def is_seen(desktop: Desktop, shot: Path) -> bool:
    """Whether the desktop shows the bar that the agent has printed: a terminal draws when it has the time."""
    desktop.screenshot(shot)
    return "#FF00FF" in desktop.run("convert", str(shot), "-depth", "8", "-unique-colors", "txt:-")


def reads_its_terminal(pid: int | None) -> bool:
    """Whether it waits for a line: all that it had to say has been written then."""
    return Path(f"/proc/{pid}/wchan").read_text() in ("n_tty_read", "wait_woken")


def closes(host: Host, desktop: Desktop, name: str, agent: ManagedAgent) -> None:
    window_of(host, agent.id, WindowState.CLOSED)
    if name in STAYS:
        for window in desktop.windows():
            desktop.close(window)
    until(lambda: not [one for one in desktop.windows() if agent.id in one.title], "its window to be gone")


@pytest.mark.slow
@each(X11, "xvfb")
def test_an_agent_lives_in_a_window_on_x11(
    name: str, x_host: Host, x_desktop: XDesktop, tmp_path: Path, shots: Path
) -> None:
    lives_in_its_window(x_host, x_desktop, name, tmp_path, shots)
    x_desktop.all_closed()


@pytest.mark.slow
@each(WAYLAND, "wayland")
def test_an_agent_lives_in_a_window_on_wayland(
    name: str, wayland_host: Host, wayland_desktop: WaylandDesktop, tmp_path: Path, shots: Path
) -> None:
    lives_in_its_window(wayland_host, wayland_desktop, name, tmp_path, shots)
