# ruff: noqa: E402
import sys

assert sys.platform == "win32"

"""Windows has no keeper yet. Everything imports, and `why_unsupported` says so before anything is begun."""

import socket
from collections.abc import Callable
from typing import NoReturn

from spawners._os.facts import Process

__all__ = [
    "boot_id",
    "collect",
    "hand_over",
    "has_mark",
    "is_locked",
    "lock_new",
    "on_exit",
    "process",
    "processes",
    "raise_file_limit",
    "send_signal",
    "why_unsupported",
]

why_unsupported = "agents cannot be run on Windows yet: run the orchestrator on Linux or macOS (or in WSL)"
"""Why sessions cannot be run here."""


def _refuse() -> NoReturn:
    raise NotImplementedError(why_unsupported)


def boot_id() -> str:
    _refuse()


def process(pid: int) -> Process | None:
    _refuse()


def processes() -> list[Process]:
    _refuse()


def has_mark(pid: int, mark: str) -> bool | None:
    _refuse()


def send_signal(target: Process, number: int) -> bool:
    _refuse()


def on_exit(pid: int, callback: Callable[[], None]) -> None:
    _refuse()


def collect(pid: int) -> bool:
    _refuse()


def hand_over(line: socket.socket, data: bytes, fds: list[int]) -> None:
    _refuse()


def lock_new(path: str) -> int:
    _refuse()


def is_locked(path: str) -> bool:
    _refuse()


def raise_file_limit() -> tuple[int, int]:
    """Windows has no such limit: handles are bounded by memory."""
    return 1 << 20, 1 << 20
