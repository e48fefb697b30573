"""Windows of a daemon that is a real service of a user's systemd: what is done to it is not done to them."""

from __future__ import annotations

import pytest
from desktop import XDesktop
from muster_processes import agent_argv, is_running, until
from running import Host
from service import Service
from systemd_user import UserManager

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.terminal import OpenRequest, SendRequest
from relay.wire.windows import Window, WindowState

TERMINALS = ("xterm", "kitty", "alacritty", "gnome-terminal")
"""Those that are processes of ours, and one whose windows belong to a service of its own."""
pytestmark = [pytest.mark.slow, pytest.mark.needs("systemd", "xvfb", *TERMINALS)]

PROGRAM = 'while read -r word; do printf "\\033]2;$MUSTER_AGENT_ID says %s\\007" "$word"; done'
"""Calls its window by each line that it reads."""


def window_of(host: Host, agent_id: str, state: WindowState) -> Window:
    """The agent's window, once it has that state."""
    until(
        lambda: (found := host.get(agent_id).window) is not None and found.state is state,
        f"the window of {agent_id} to be {state}",
    )
    window = host.get(agent_id).window
    assert window is not None
    return window


def answers_in_its_window(host: Host, desktop: XDesktop, agent: ManagedAgent, word: str) -> None:
    with host.client() as client:
        client.call(endpoints.SEND_TO_AGENT, SendRequest(text=word), path={"id": agent.id})
    desktop.window(f"{agent.id} says {word}")


def open_again(host: Host, agent: ManagedAgent) -> str:
    with host.client() as client:
        return client.call(endpoints.OPEN_AGENT, OpenRequest(), path={"id": agent.id}).action


@pytest.fixture
def told(user_manager: UserManager, service: Service, x_desktop: XDesktop) -> None:
    """The session tells the manager of its display, as a desktop does at login: the daemon runs already."""
    names = ("DISPLAY", "LANG", "NO_AT_BRIDGE", "GSETTINGS_BACKEND", "LIBGL_ALWAYS_SOFTWARE")
    user_manager.ctl("set-environment", *(f"{name}={x_desktop.env[name]}" for name in names))
    with service.client() as client:
        (host,) = client.call(endpoints.LIST_HOSTS)
    assert (host.desktop.kind, host.desktop.source) == ("x11", "systemctl --user show-environment")


@pytest.mark.parametrize("verb", ["restart", "kill"])
def test_windows_of_a_service_stay_open_and_attached_over_its_restart(
    service: Service, user_manager: UserManager, x_desktop: XDesktop, told: None, verb: str
) -> None:
    shown = {
        name: service.spawn("sh", "-c", PROGRAM, mode=Mode.TERMINAL, terminal=name, terminal_fallback="error")
        for name in TERMINALS
    }
    headless = service.spawn(*agent_argv("print:up", "sleep"))
    before = {name: window_of(service, agent.id, WindowState.OPEN) for name, agent in shown.items()}
    for name, agent in shown.items():
        assert (agent.status, before[name].terminal) == (Status.RUNNING, name)
        answers_in_its_window(service, x_desktop, agent, "before")

    service.begin_anew(verb)

    for agent in (*shown.values(), headless):
        now = service.get(agent.id)
        assert (now.status, now.pid, now.started_at) == (Status.RUNNING, agent.pid, agent.started_at)
        assert is_running(agent.pid or 0)
    for name, agent in shown.items():
        window = window_of(service, agent.id, WindowState.OPEN)
        assert (window.id, window.pid) == (before[name].id, before[name].pid)
        answers_in_its_window(service, x_desktop, agent, "after")

    for agent in shown.values():
        x_desktop.close(x_desktop.window(agent.id))
        window_of(service, agent.id, WindowState.CLOSED)
        assert service.get(agent.id).status is Status.RUNNING
        assert open_again(service, agent) == "opened"
        answers_in_its_window(service, x_desktop, agent, "again")
    for agent in (*shown.values(), headless):
        assert service.stop(agent.id).status is Status.CANCELLED
    for agent in shown.values():
        window_of(service, agent.id, WindowState.CLOSED)
    until(lambda: not windows_scopes(user_manager), "the scopes of the windows to be gone")


def windows_scopes(manager: UserManager) -> set[str]:
    return {name for name in manager.scopes() if name.startswith("muster-window-")}
