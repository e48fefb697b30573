"""`python -m relay` as a process of a test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from relay.wire.client import AsyncClient

__all__ = ["RelayProcess"]


class RelayProcess:
    """A relay in its own home; `start` returns once it listens."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.options = options
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def popen(self, *more: str, bind: str = "127.0.0.1:0") -> subprocess.Popen[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")
        } | {"MUSTER_HOME": str(self.home)}
        return subprocess.Popen(
            [sys.executable, "-m", "relay", "--bind", bind, *self.options, *more],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> None:
        bind = self.url.partition("//")[2] or "127.0.0.1:0"
        self.process = self.popen(bind=bind)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("muster relay listening on http"), self.process.communicate()
        self.url = line.split()[-1]

    def run(self, *more: str, bind: str = "127.0.0.1:0") -> tuple[int, str]:
        """Run one that is expected not to start; return its exit code and what it said."""
        process = self.popen(*more, bind=bind)
        _out, said = process.communicate(timeout=40)
        return process.returncode, said

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        process.communicate(timeout=40)
        return process.returncode

    @property
    def token(self) -> str:
        return (self.home / "admin.token").read_text().strip()

    def client(self, token: str | None = None) -> AsyncClient:
        return AsyncClient(self.url, token=token or self.token)
