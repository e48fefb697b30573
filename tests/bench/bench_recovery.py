"""`kill -9` of a daemon with many agents: how long until its successor knows all of them."""

from __future__ import annotations

from pathlib import Path

from running import until
from stand import Row, stand, start_agents, stopwatch

from relay.wire import endpoints
from relay.wire.agents import ENDED, Status

__all__ = ["recovery"]

AGENTS = 500


def recovery(folder: Path) -> list[Row]:
    with stand(folder) as both:
        with both.host.client() as client:
            began = stopwatch()
            ids = {agent.id for agent in start_agents(client, AGENTS)}
            started_s = (stopwatch() - began) / 1000
        both.host.kill()
        began = stopwatch()
        both.host.start()
        running = [agent.id for agent in both.host.agents("live").values() if agent.status is Status.RUNNING]
        seconds = (stopwatch() - began) / 1000
        lost = ids - set(running)
        with both.host.client() as client:
            for agent_id in running:
                client.call(endpoints.SIGNAL_AGENT, {"signal": "KILL"}, path={"id": agent_id})
        until(
            lambda: all(agent.status in ENDED for agent in both.host.agents().values()),
            "all exits",
            timeout_s=60,
        )
        recorded = [
            agent for agent in both.host.agents("ended").values() if agent.exit and agent.exit.signal == 9
        ]
        until(lambda: not both.relay.agents("live"), "the relay to know all exits", timeout_s=60)
    note = f"{len(lost)} lost; {len(recorded)} of {AGENTS} later exits recorded; from exec of the daemon"
    ok = seconds < 1 and not lost and len(recorded) == AGENTS
    return [
        Row(f"kill -9 daemon, {AGENTS} agents → all known", f"{seconds:.2f} s", "< 1 s", ok, note),
        Row(f"spawn {AGENTS} agents at the daemon, one by one", f"{AGENTS / started_s:.0f}/s"),
    ]
