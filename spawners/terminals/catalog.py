"""The terminals of this system."""

from __future__ import annotations

from spawners.terminals.base import Terminal

__all__ = ["terminals"]


def terminals() -> tuple[Terminal, ...]:
    """All that are known, installed or not."""
    return ()
