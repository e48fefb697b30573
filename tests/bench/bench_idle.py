"""What agents that do nothing cost: memory of each keeper, processor time of everything of ours."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import psutil
from running import until
from stand import Row, cpu_seconds, keepers, stand, start_agents

__all__ = ["idle"]

AGENTS = 100
SETTLE_S = 3.0
WATCH_S = 20.0
MIB = 1024 * 1024


def idle(folder: Path) -> list[Row]:
    with stand(folder) as both:
        with both.host.client() as client:
            start_agents(client, AGENTS)
        ours = keepers(both.host.directory)
        assert len(ours) == AGENTS, f"{len(ours)} keepers for {AGENTS} agents"
        until(lambda: len(both.relay.agents("live")) == AGENTS, "the relay to know all agents")
        memory = [process.memory_full_info() for process in ours]
        uss = statistics.median(facts.uss for facts in memory) / MIB
        pss = statistics.median(facts.pss for facts in memory) / MIB
        servers = [psutil.Process(both.host.pid), psutil.Process(both.relay.pid)]
        time.sleep(SETTLE_S)
        before = [cpu_seconds([process]) for process in servers], cpu_seconds(ours)
        time.sleep(WATCH_S)
        after = [cpu_seconds([process]) for process in servers], cpu_seconds(ours)
        daemon, relay = (
            100 * (late - early) / WATCH_S for early, late in zip(before[0], after[0], strict=True)
        )
        keeping = 100 * (after[1] - before[1]) / WATCH_S
        resident = [process.memory_full_info().uss / MIB for process in servers]
    total = daemon + relay + keeping
    shares = f"daemon {daemon:.2f}, relay {relay:.2f}, keepers {keeping:.2f}; ticks of 10 ms"
    return [
        Row(
            "memory of a keeper, USS",
            f"{uss:.2f} MiB",
            "≤ 1 MiB",
            uss <= 1,
            f"median of {AGENTS}; PSS {pss:.2f}",
        ),
        Row(
            f"idle CPU, {AGENTS} agents, all of ours",
            f"{total:.2f} %",
            "≤ 0.5 %",
            round(total, 2) <= 0.5,
            shares,
        ),
        Row("memory of daemon and relay, USS", f"{resident[0]:.0f} and {resident[1]:.0f} MiB"),
    ]
