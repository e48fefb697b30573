"""How long the commands take that a person waits for."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from running import environment, sweep
from stand import Row, stopwatch

__all__ = ["commands"]

REPEAT = 9
MUSTER = (sys.executable, "-m", "orchestrator.cli.main")


def commands(folder: Path) -> list[Row]:
    """Cold is with nothing running; the files of the programs have been read before."""
    home = folder / "home"
    home.mkdir()
    try:
        cold_run = [_cold(home, "run", "--", "true") for _ in range(3)]
        up = [_cold(home, "up", "--detach") for _ in range(3)]
        ps = [_timed(home, "ps") for _ in range(REPEAT)]
        warm_run = [_timed(home, "run", "--", "true") for _ in range(REPEAT)]
    finally:
        _timed(home, "down", "--stop-agents")
        sweep(home)
    return [
        _row("muster up --detach → ready", up, 1.5),
        _row("muster ps", ps, 0.25),
        _row("muster run -- true, nothing running", cold_run, 2.0),
        _row("muster run -- true, warm", warm_run, 0.4),
    ]


def _row(what: str, times: list[float], aim: float) -> Row:
    median = statistics.median(times)
    return Row(
        what, f"{median:.2f} s", f"≤ {aim} s", median <= aim, f"median of {len(times)}; most {max(times):.2f}"
    )


def _cold(home: Path, *arguments: str) -> float:
    _timed(home, "down")
    return _timed(home, *arguments)


def _timed(home: Path, *arguments: str) -> float:
    program = Path(sys.executable).with_name("muster")
    command = [str(program)] if os.access(program, os.X_OK) else list(MUSTER)
    began = stopwatch()
    ended = subprocess.run([*command, *arguments], env=environment(home), capture_output=True, check=False)
    took = (stopwatch() - began) / 1000
    if ended.returncode:
        sys.exit(f"muster {' '.join(arguments)} exited with {ended.returncode}: {ended.stderr.decode()}")
    return took
