"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from running_fixtures import host, make_host, make_member, relay
from systemd_user import user_manager
from windows import desk, windowed

__all__ = ["desk", "host", "make_host", "make_member", "relay", "user_manager", "windowed"]
