# ruff: noqa: E402
"""Measures what the design sets numbers for. `python tests/bench/run.py`, or with names of benches.

Real processes in a temporary folder, all ended afterwards. Nothing here is a test: the aims are for a
quiet machine with two cores. Exits with 0 whatever was measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "fakes")]

import psutil
from bench_attach import attach
from bench_commands import commands
from bench_heartbeats import heartbeats
from bench_idle import idle
from bench_output import output
from bench_recovery import recovery
from bench_spawn import on_host, through_relay
from bench_terminals import terminals
from rich.console import Console
from rich.table import Table
from stand import Row

BENCHES: dict[str, Callable[[Path], list[Row]]] = {
    "spawn": on_host,
    "relay-spawn": through_relay,
    "idle": idle,
    "terminals": terminals,
    "output": output,
    "attach": attach,
    "recovery": recovery,
    "heartbeats": heartbeats,
    "commands": commands,
}


def machine() -> str:
    """Return what the numbers depend on, in a line."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model
        )
    memory = psutil.virtual_memory().total / 2**30
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.release()}"
    load = f"load average before {os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, {system}, {python}, {load}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bench", nargs="*", help=f"which: {', '.join(BENCHES)} (default: all)")
    chosen = parser.parse_args().bench or list(BENCHES)
    unknown = set(chosen) - set(BENCHES)
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    table = Table(title=machine(), title_justify="left", title_style="")
    for column in ("what", "measured", "aim", "", "note"):
        table.add_column(column, overflow="fold")
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
            for row in BENCHES[name](Path(folder)):
                reached = {True: "ok", False: "MISSED", None: ""}[row.ok]
                table.add_row(row.what, row.measured, row.aim, reached, row.note)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    main()
