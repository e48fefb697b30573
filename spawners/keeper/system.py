# ruff: noqa: E402
import sys

assert sys.platform != "win32"

"""What the rest stands on: signals, the clock, and places to die at in tests."""

import _signal  # type: ignore[import-not-found, unused-ignore]
import posix
import time

SIGINT, SIGKILL, SIGTERM, SIGCONT = 2, 9, 15, _signal.SIGCONT
LINUX = sys.platform == "linux"
ARMED = posix.environ.get(b"MUSTER_FAILPOINT", b"").decode().split(",")


def now_ms() -> int:
    return int(time.time() * 1000)


def failpoint(name: str) -> None:
    if name in ARMED:
        posix.kill(posix.getpid(), SIGKILL)
