"""Hosts that open windows in `pty_terminal.py`."""

from __future__ import annotations

from running_fixtures import make_host, make_member, relay
from windows import blind, desk, windowed

__all__ = ["blind", "desk", "make_host", "make_member", "relay", "windowed"]
