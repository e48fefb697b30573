"""What the whole suite shares: tests that need something say so, and are skipped or demanded by name."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import systemd_user

REQUIRE = "MUSTER_TEST_REQUIRE"
"""Names, separated by commas, that must be here: absence fails instead of skipping. `all`: every one."""


NPM = os.environ.get("MUSTER_TEST_NPM")
"""A folder with `node_modules/.bin`: where to find the CLIs that are not on PATH."""
if NPM:
    os.environ["PATH"] += os.pathsep + os.path.join(NPM, "node_modules", ".bin")

AIDER = os.environ.get("MUSTER_TEST_AIDER")
"""The virtual environment in which aider is, if it is not on PATH."""
if AIDER:
    os.environ["PATH"] += os.pathsep + os.path.join(AIDER, "bin")


def _listens(variable: str, port: int) -> str:
    url = os.environ.get(variable, "")
    if not url:
        return f"{variable} names no server"
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or port), 2).close()
    except OSError as error:
        return f"{variable}: {error}"
    return ""


def _program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is not on PATH"


def _root() -> str:
    return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "only root may do this"


def _cgroup() -> str:
    folder = "/sys/fs/cgroup/memory" if os.path.exists("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
    return "" if os.access(folder, os.W_OK) and not _root() else "no writable memory cgroup"


MISSING: dict[str, Callable[[], str]] = {
    "root": _root,
    "cgroup": _cgroup,
    "systemd": systemd_user.why_missing,
    "linux": lambda: "" if sys.platform == "linux" else "Linux only",
    "postgres": lambda: _listens("MUSTER_TEST_POSTGRES", 5432),
    "nats": lambda: _listens("MUSTER_TEST_NATS", 4222),
    "npm": _program("npm"),
    "openssl": _program("openssl"),
    "tmux": _program("tmux"),
    "vim": _program("vim"),
    "htop": _program("htop"),
    "less": _program("less"),
    "claude": _program("claude"),
    "codex": _program("codex"),
    "gemini": _program("gemini"),
    "opencode": _program("opencode"),
    "copilot": _program("copilot"),
    "qwen": _program("qwen"),
    "aider": _program("aider"),
}
"""Every name the `needs` marker knows → why it is missing, or empty."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = {name.strip() for name in os.environ.get(REQUIRE, "").split(",")}
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            missing = MISSING[name]()
            if missing and ({name, "all"} & required):
                pytest.fail(f"{name} is required by {REQUIRE}: {missing}", pytrace=False)
            if missing:
                pytest.skip(missing)
