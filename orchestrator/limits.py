"""The limits that the daemon's process starts with are too low for hundreds of agents."""

from __future__ import annotations

from spawners import _os

__all__ = ["raise_file_limit"]


def raise_file_limit() -> tuple[int, int]:
    """Raise the soft limit of open files to the hard one; return what it was, and the hard one.

    Each agent costs the daemon two descriptors, and 1,024 is still the usual soft limit. Agents get
    the old one: there are programs that use `select`, or close every descriptor there could be.
    """
    return _os.raise_file_limit()
