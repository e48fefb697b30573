"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from running_fixtures import host, make_host, make_member, relay

__all__ = ["host", "make_host", "make_member", "relay"]
