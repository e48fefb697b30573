"""Hosts that open windows in `pty_terminal.py`."""

from __future__ import annotations

from running_fixtures import make_host, make_member, relay
from windows import blind, desk, lasting_desk, lasting_windowed, shared_desk, shared_windowed, windowed

__all__ = [
    "blind",
    "desk",
    "lasting_desk",
    "lasting_windowed",
    "make_host",
    "make_member",
    "relay",
    "shared_desk",
    "shared_windowed",
    "windowed",
]
