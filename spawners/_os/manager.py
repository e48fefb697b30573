"""What is said about a service manager; the same on every system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["ManagerError", "manager_socket", "start_scope", "stop_unit"]


class ManagerError(Exception):
    """The user's service manager did not do what it was asked for.

    `unknown_property`: for the only reason that it knows not all of the properties.
    """

    def __init__(self, message: str, *, unknown_property: bool = False) -> None:
        super().__init__(message)
        self.unknown_property = unknown_property


def manager_socket(_: Mapping[str, str]) -> str | None:
    """None: there is no systemd here."""
    return None


async def start_scope(path: str, name: str, pids: Sequence[int], properties: Mapping[str, Any]) -> None:
    """Never called where `manager_socket` is None."""
    raise ManagerError(
        f"there is no systemd here to make {name} of {len(pids)} and {len(properties)} at {path}"
    )


async def stop_unit(path: str, name: str) -> None:
    """Never called where `manager_socket` is None."""
    raise ManagerError(f"there is no systemd here to stop {name} at {path}")
