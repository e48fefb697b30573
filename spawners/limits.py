"""What an agent may use at most, who sees to it, and how much it uses.

Where the user's systemd gives it a cgroup that enforces limits, the kernel does. Elsewhere memory is
measured from outside by a `Meter`, about once a second, and CPUs are limited by confining the program to as
many whole ones: coarser (half a CPU becomes one), and a program may undo it for itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spawners import _os
from spawners.directory import AgentDirectory
from spawners.launch import SessionRef

__all__ = [
    "MIN_CPUS",
    "MIN_MEMORY",
    "WHY_NO_CPUS",
    "Limits",
    "Meter",
    "is_enforced",
    "left_to_enforce",
    "size",
]

MIN_MEMORY = 16 * 1024 * 1024
"""The keeper lives in the same cgroup, and its Python needs about ten MiB."""
MIN_CPUS = 0.01
"""A hundredth: the kernel's own floor is 1 ms in 100."""
WHY_NO_CPUS = (
    "" if _os.usable_cpus() is not None else "processor time cannot be limited on this system: leave cpus out"
)
_ROUNDED = 1.05
"""systemd rounds a quota to whole ticks of its period."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a whole tree; `cpus` 2.5 is two and a half of them. Without any it is false."""

    memory_bytes: int | None = None
    cpus: float | None = None

    def __bool__(self) -> bool:
        return self.memory_bytes is not None or self.cpus is not None

    @classmethod
    def of_spec(cls, spec: Mapping[str, Any]) -> Limits:
        """Those that were written down in `spec.json`."""
        return cls(spec.get("memoryBytes"), spec.get("cpus"))

    @property
    def problem(self) -> str:
        """Why nobody could hold anything to them; empty: they can be."""
        if self.memory_bytes is not None and self.memory_bytes < MIN_MEMORY:
            return f"a memory limit must be at least {size(MIN_MEMORY)}, not {self.memory_bytes} bytes"
        if self.cpus is None:
            return ""
        if not math.isfinite(self.cpus) or self.cpus < MIN_CPUS:
            return f"cpus must be at least {MIN_CPUS:g}, not {self.cpus:g}"
        return WHY_NO_CPUS

    @property
    def whole_cpus(self) -> int | None:
        """As many whole CPUs as `cpus` needs; None where that would be all there are."""
        usable = _os.usable_cpus()
        if self.cpus is None or usable is None or math.ceil(self.cpus) >= usable:
            return None
        return math.ceil(self.cpus)


NO_LIMITS = Limits()


def left_to_enforce(pid: int, limits: Limits) -> Limits:
    """Those of `limits` that the cgroup of the process does not enforce, whatever it was asked for."""
    memory, cpus = _os.cgroup_limits(pid)
    held = memory is not None and limits.memory_bytes is not None and memory <= limits.memory_bytes
    slow = cpus is not None and limits.cpus is not None and cpus <= limits.cpus * _ROUNDED
    return Limits(None if held else limits.memory_bytes, None if slow else limits.cpus)


def is_enforced(ref: SessionRef, pid: int, memory_bytes: int) -> bool:
    """Whether the agent's program is in a cgroup of its own, which holds it to that much memory."""
    if ref.agent_id not in _os.unit_of(pid):
        return False
    return not left_to_enforce(pid, Limits(memory_bytes))


class Meter:
    """Measures trees of agents by one look at the process table. Blocks for milliseconds."""

    def __init__(self) -> None:
        self._below: dict[int, list[_os.Process]] = {}
        self._sessions: dict[int, list[_os.Process]] = {}
        for item in _os.processes():
            if not item.zombie:
                self._below.setdefault(item.parent, []).append(item)
                self._sessions.setdefault(item.session, []).append(item)

    def memory_used(self, ref: SessionRef, limit: int) -> int:
        """Bytes that the tree uses. Pages that processes share count once only in what is above `limit`.

        Telling that takes long, and cannot make it more: as long as the simple sum is below the limit,
        that is returned.
        """
        pids = self._tree(ref)
        simple = sum(_os.resident_bytes(pid) for pid in pids)
        return simple if simple <= limit else sum(_os.proportional_bytes(pid) for pid in pids)

    def _tree(self, ref: SessionRef) -> set[int]:
        """Everything below the keeper, and what shares the program's session where orphans go elsewhere."""
        child = AgentDirectory(ref.directory).child()
        if child is None or child.program is None or child.program.boot_id not in ("", _os.boot_id()):
            return set()
        found: set[int] = set()
        waiting = list(self._below.get(child.keeper_pid, ()))
        waiting += self._sessions.get(child.program.pid, ())
        while waiting:
            item = waiting.pop()
            if item.pid not in found and item.pid != os.getpid() and item.started >= child.keeper_started:
                found.add(item.pid)
                waiting += self._below.get(item.pid, ())
        return found


def size(amount: int) -> str:
    """`2.3 GiB`, for people."""
    value, unit = float(amount), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
