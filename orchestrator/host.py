"""Facts about the machine this daemon runs on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket

import psutil

from relay.wire.orchestrators import Load

__all__ = ["architecture", "hostname", "load", "operating_system", "version"]


def hostname() -> str:
    return socket.gethostname()


def operating_system() -> str:
    """Return `linux`, `darwin` or `windows`."""
    return platform.system().lower()


def architecture() -> str:
    return platform.machine().lower()


def version() -> str:
    """Return the version of Muster that is installed."""
    try:
        return importlib.metadata.version("musterd")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def load(running: int) -> Load:
    """Return how busy the machine is; `running` counts our agents."""
    memory = psutil.virtual_memory()
    try:
        average = psutil.getloadavg()[0]
    except (OSError, RuntimeError):  # Windows counts it itself, unless its counters are switched off
        average = 0.0
    return Load(
        running=running,
        cpus=os.cpu_count() or 1,
        load_average=round(average, 2),
        memory_available=memory.available,
        memory_total=memory.total,
    )
