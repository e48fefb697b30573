"""Muster as a service of the user's own: started at login by what this system has for that."""

from __future__ import annotations

from orchestrator.services import launchd, logon, systemd
from orchestrator.services.base import Manager, Program, ServiceError, State, chosen, foreground
from spawners._os import service_manager

__all__ = ["Manager", "Program", "ServiceError", "State", "chosen", "foreground", "manager"]

MANAGERS: dict[str, Manager] = {"systemd": systemd, "launchd": launchd, "logon": logon}


def manager() -> Manager:
    """What starts services of a user on this system."""
    return MANAGERS[service_manager]
