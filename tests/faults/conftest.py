"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from desktop import x_desktop, x_session
from running_fixtures import host, make_host, make_member, relay
from service import service
from systemd_user import user_manager
from windows import desk, windowed

__all__ = [
    "desk",
    "host",
    "make_host",
    "make_member",
    "relay",
    "service",
    "user_manager",
    "windowed",
    "x_desktop",
    "x_session",
]
