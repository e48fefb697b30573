"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from desktop import shots, wayland_desktop, wayland_session, x_desktop, x_session
from running_fixtures import (
    host,
    lasting_host,
    lasting_team,
    make_host,
    make_member,
    relay,
    shared_host,
    team,
)
from stub_fixtures import home, lonely, model
from tmux import tmux

__all__ = [
    "home",
    "host",
    "lasting_host",
    "lasting_team",
    "lonely",
    "make_host",
    "make_member",
    "model",
    "relay",
    "shared_host",
    "shots",
    "team",
    "tmux",
    "wayland_desktop",
    "wayland_session",
    "x_desktop",
    "x_session",
]
