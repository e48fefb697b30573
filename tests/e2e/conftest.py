"""Daemons and relays that are there to be killed."""

from __future__ import annotations

from running_fixtures import host, make_host, make_member, relay
from stub_fixtures import home, lonely, model

__all__ = ["home", "host", "lonely", "make_host", "make_member", "model", "relay"]
