"""What the whole suite shares: tests that need something say so, and are skipped or demanded by name."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from urllib.parse import urlsplit

import desktop
import pytest
import systemd_user
import wine

REQUIRE = "MUSTER_TEST_REQUIRE"
"""Names, separated by commas, that must be here: absence fails instead of skipping. `all`: every one."""


PATH = os.environ["PATH"]

CLI_FOLDERS = [
    os.path.join(os.environ[variable], *folder)
    for variable, *folder in (("MUSTER_TEST_NPM", "node_modules", ".bin"), ("MUSTER_TEST_AIDER", "bin"))
    if os.environ.get(variable)
]
"""Where CLIs are that are not on PATH: those that npm has installed in a folder, and aider's virtual
environment. Only tests that need one find it, and none beside it: a daemon asks every CLI on its PATH for
its version, which takes seconds of processor time for all of them."""


@functools.cache
def _alone(name: str) -> str | None:
    """A folder in which there is only the CLI `name`, if it is in one of `CLI_FOLDERS`."""
    program = shutil.which(name, path=os.pathsep.join(CLI_FOLDERS)) if CLI_FOLDERS else None
    if program is None or shutil.which(name, path=PATH) is not None:
        return None
    folder = tempfile.mkdtemp(prefix=f"muster-{name}-")
    atexit.register(shutil.rmtree, folder)
    os.symlink(program, os.path.join(folder, name))
    return folder


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


def _unshare() -> str:
    """Whether processes can be made that count on their own: containers mostly forbid it."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.decode().strip() if done.returncode else ""


def _wine() -> bool:
    return os.name == "nt" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


MISSING: dict[str, Callable[[], str]] = {
    "root": _root,
    "cgroup": _cgroup,
    "unshare": _unshare,
    "systemd": systemd_user.why_missing,
    "windows": lambda: "" if os.name == "nt" else "Windows only",
    "wine": wine.why_missing,
    "posix": lambda: "" if os.name == "posix" else "Windows has no such thing",
    "ctrl-break": lambda: "GenerateConsoleCtrlEvent fails under wine" if _wine() else "",
    "resize": lambda: "ResizePseudoConsole is not implemented by wine" if _wine() else "",
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
    "xvfb": lambda: desktop.missing(*desktop.X11_PROGRAMS),
    "wayland": lambda: desktop.missing(*desktop.WAYLAND_PROGRAMS),
    **{name: _program(name) for name in desktop.TERMINALS},
}
"""Every name the `needs` marker knows → why it is missing, or empty."""


SLOW = frozenset(
    {"claude", "codex", "gemini", "opencode", "copilot", "qwen", "aider", "wine", "xvfb", "wayland"}
)
"""What takes seconds to start: tests that need one are slow. `pytest -m slow` runs those, `.ci/run` all."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(name for marker in item.iter_markers("needs") for name in marker.args):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = sorted({name for marker in item.iter_markers("needs") for name in marker.args})
    os.environ["PATH"] = os.pathsep.join([PATH, *filter(None, map(_alone, needed))])
    required = {name.strip() for name in os.environ.get(REQUIRE, "").split(",")}
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            missing = MISSING[name]()
            if missing and ({name, "all"} & required):
                pytest.fail(f"{name} is required by {REQUIRE}: {missing}", pytrace=False)
            if missing:
                pytest.skip(missing)
