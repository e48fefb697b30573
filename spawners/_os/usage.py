"""Memory of processes where there are no cgroups and no /proc: what psutil can tell on macOS and Windows."""

from __future__ import annotations

import psutil

__all__ = ["cgroup_limits", "fork_is_safe", "proportional_bytes", "resident_bytes", "unit_of", "usable_cpus"]

fork_is_safe = False
"""macOS aborts a program that calls its frameworks after a fork without exec; Windows has no fork."""


def unit_of(_: int | str) -> str:
    """Empty: there are no systemd units here."""
    return ""


def cgroup_limits(_: int) -> tuple[int | None, float | None]:
    """None and None: nothing is limited by the system."""
    return None, None


def resident_bytes(pid: int) -> int:
    """Memory that the process has in use, pages shared with others included; 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, OSError):
        return 0


proportional_bytes = resident_bytes
"""No system but Linux tells how pages are shared."""


def usable_cpus() -> int | None:
    """None: a program cannot be confined to a part of the CPUs."""
    return None
