"""How many files the relay may have open at once."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

__all__ = ["raise_file_limit"]


def raise_file_limit() -> None:
    """Every host holds a connection; the soft limit is often 1024."""
    try:
        resource: Any = importlib.import_module("resource")  # POSIX only
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, 1 << 17, 1 << 15, 10240):  # macOS names no hard limit, and refuses what is too much
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
            return
