"""Runs the real `muster` program as a user does: as a process, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from relay.wire.home import Home

MUSTER = (sys.executable, "-m", "orchestrator.cli.main")


@dataclass
class Muster:
    """`muster` in one home; calling it runs it and returns what it said."""

    home: Home
    variables: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
        own = {"MUSTER_HOME": self.home.state, "SHELL": "/bin/sh", "TZ": "UTC", "COLUMNS": "80"}
        return {**kept, **own, **self.variables}

    def __call__(self, *words: str, stdin: bytes = b"", timeout: float = 80.0) -> Said:
        done = subprocess.run(
            [*MUSTER, *words],
            input=stdin,
            capture_output=True,
            env=self.environment(),
            cwd=self.cwd,
            timeout=timeout,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Run it and return at once."""
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(
            [*MUSTER, *words], env=self.environment(), cwd=self.cwd, **{**settings, **options}
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill what `start` has left."""
        for process in self.started:
            with process:
                if process.poll() is None:
                    process.kill()


@dataclass(frozen=True)
class Said:
    """How a run of `muster` ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


def a_home(folder: Path) -> Home:
    """A home below `folder`, with its folders made."""
    home = Home(str(folder), str(folder), str(folder / "run"))
    home.prepare()
    return home


def started(muster: Muster, *words: str) -> None:
    """Run what starts the servers, twice if need be: now and then wine makes no process."""
    said = muster(*words)
    if "answer within" in said.err:  # what has been started was ended
        said = muster(*words)
    assert said.code == 0, said.text + said.err
