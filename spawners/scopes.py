"""Cgroups of their own for keepers, made by the user's systemd where one runs.

A daemon that is a service would take all that is in its cgroup along when it is restarted. A keeper, and the
fork server that makes keepers, is therefore moved into a scope: it lives on whatever becomes of the daemon,
and where systemd can, it holds the agent to its limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from spawners import _os
from spawners.limits import NO_LIMITS, Limits

__all__ = ["SLICE", "Scopes", "ignore"]

SLICE = "app-muster.slice"
"""Below `app.slice`, where what a user runs belongs (systemd's desktop conventions)."""
ANSWER_S = 2.0
"""systemd answers within five milliseconds; one that hangs must not hold up spawns."""
AGAIN_S = 60.0
"""Until a manager that failed is asked again."""
STOP_S = 10
"""When systemd ends a scope (logout without linger, shutdown), a keeper needs three seconds for its tree."""


def ignore(_: str) -> None:
    """What is done with messages where nobody wants them."""


class Scopes:
    """Asks the systemd manager that listens at `path`. `report` gets a sentence when it begins to fail."""

    def __init__(self, path: str, report: Callable[[str], None] = ignore) -> None:
        self._path = path
        self._report = report
        self._again_at = 0.0
        self._optional: dict[str, Any] = {"OOMPolicy": ("s", "continue")}
        self.problem = ""

    @classmethod
    def find(cls, environ: Mapping[str, str], report: Callable[[str], None] = ignore) -> Scopes | None:
        """The manager of this user, or None if none runs."""
        path = _os.manager_socket(environ)
        return None if path is None else cls(path, report)

    @property
    def usable(self) -> bool:
        """Whether it is worth asking: it has not failed a moment ago."""
        return time.monotonic() >= self._again_at

    async def put(self, pid: int, name: str, what: str, limits: Limits = NO_LIMITS) -> bool:
        """Move the process into a new scope called `name`, described as `what`.

        False if that was not possible; `problem` then says why. Whether the limits are really in force
        depends on the machine: see `left_to_enforce`.
        """
        if not self.usable:
            return False
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._start(name, pid, _properties(what, limits))
            if _os.unit_of(pid) != name:
                raise _os.ManagerError(f"the systemd manager has not moved process {pid} into {name}")
        except TimeoutError:
            self._failed(f"the systemd manager at {self._path} has not answered within {ANSWER_S:g} s")
        except _os.ManagerError as error:
            process = _os.process(pid)
            if process is not None and not process.zombie:  # else it has ended, which is nobody's fault
                self._failed(str(error))
        else:
            self.problem = ""
            return True
        return False

    async def drop(self, name: str) -> None:
        """See that there is no such scope: one whose process died while it was made would stay for ever."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await _os.stop_unit(self._path, name)
        except (TimeoutError, _os.ManagerError):
            return  # it is empty: only the list of units is longer

    async def _start(self, name: str, pid: int, properties: dict[str, Any]) -> None:
        try:
            await _os.start_scope(self._path, name, [pid], {**properties, **self._optional})
        except _os.ManagerError as error:
            if not (error.unknown_property and self._optional):
                raise
            self._optional = {}  # older than systemd 252, where out of memory never ended a scope
            await _os.start_scope(self._path, name, [pid], properties)

    def _failed(self, problem: str) -> None:
        if not self.problem:
            self._report(f"{problem}; agents are started without scopes of their own")
        self.problem = problem
        self._again_at = time.monotonic() + AGAIN_S


def _properties(what: str, limits: Limits) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Description": ("s", what),
        "Slice": ("s", SLICE),
        "CollectMode": ("s", "inactive-or-failed"),
        "TimeoutStopUSec": ("t", STOP_S * 1_000_000),
        "SendSIGHUP": ("b", False),
    }
    if limits.memory_bytes is not None:
        properties["MemoryMax"] = ("t", limits.memory_bytes)
        properties["MemorySwapMax"] = ("t", 0)
    if limits.cpus is not None:
        properties["CPUQuotaPerSecUSec"] = ("t", max(1, round(limits.cpus * 1_000_000)))
    return properties
