"""What many terminals cost that all write a little: processor time and memory of daemon and keepers."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import psutil
from muster_processes import PYTHON
from stand import Row, cpu_seconds, keepers, stand, start_agents

from relay.wire.agents import Mode

__all__ = ["terminals"]

AGENTS = 500
BYTES_PER_S = 1000
SETTLE_S = 5.0
WATCH_S = 20.0
MIB = 1024 * 1024
WRITER = f"""
import os, time
line = b"x" * {BYTES_PER_S - 2} + bytes([10])
while True:
    os.write(1, line)
    time.sleep(1)
"""
"""The terminal makes two bytes of the newline."""


def terminals(folder: Path) -> list[Row]:
    """Nobody watches them: nothing is emulated, all is written down."""
    argv = [PYTHON, "-I", "-S", "-c", WRITER]
    with stand(folder) as both:
        with both.host.client() as client:
            agents = start_agents(client, AGENTS, argv, mode=Mode.EMBEDDED)
        ours = keepers(both.host.directory)
        assert len(ours) == AGENTS, f"{len(ours)} keepers for {AGENTS} agents"
        time.sleep(SETTLE_S)
        daemon = psutil.Process(both.host.pid)
        written = _written(both.host.directory)
        before = cpu_seconds([daemon]), cpu_seconds(ours)
        time.sleep(WATCH_S)
        after = cpu_seconds([daemon]), cpu_seconds(ours)
        rate = (_written(both.host.directory) - written) / WATCH_S
        memory = [process.memory_full_info() for process in ours]
        resident = daemon.memory_full_info().uss / MIB
        assert len(agents) == AGENTS
    shares = [100 * (late - early) / WATCH_S for early, late in zip(before, after, strict=True)]
    uss = statistics.median(facts.uss for facts in memory) / MIB
    pss = statistics.median(facts.pss for facts in memory) / MIB
    wrote = f"{AGENTS} terminals, {rate / 1000:.0f} kB/s in all went into their spools"
    # The design sets 5 % for 1,000 of them.
    aim = 5 * AGENTS / 1000
    return [
        Row(
            "terminals: processor time of the daemon",
            f"{shares[0]:.2f} %",
            f"≤ {aim:g} %",
            shares[0] <= aim,
            wrote,
        ),
        Row(
            "terminals: processor time of the keepers", f"{shares[1]:.2f} %", f"≤ {aim:g} %", shares[1] <= aim
        ),
        Row(
            "terminals: memory of a keeper, USS", f"{uss:.2f} MiB", "≤ 1 MiB", uss <= 1, f"PSS {pss:.2f} MiB"
        ),
        Row("terminals: memory of the daemon, USS", f"{resident:.0f} MiB"),
    ]


def _written(home: Path) -> int:
    return sum(spool.stat().st_size for spool in home.glob("agents/*/spool.*"))
