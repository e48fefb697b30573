"""Ends agents that have reached a limit of their own, and CLIs that stay when their work is done."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.agents.registry import Registry
from relay.wire.agents import ManagedAgent
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from spawners.errors import SessionEnded
from spawners.providers.tally import Outcome

__all__ = ["Limits", "reached"]

log = structlog.get_logger()

GRACE_S = 5.0

Stop = Callable[[str, StopIntent], AgentRecord]


class Limits:
    """What it stops with is given later, by `stop_with`: whoever stops agents also observes them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._stop: Stop | None = None

    def stop_with(self, stop: Stop) -> None:
        self._stop = stop

    def check(self, agent_id: str, outcome: Outcome) -> None:
        """End the agent if its CLI's own words say that it is above one of its limits."""
        record = self._registry.get(agent_id)
        words = reached(record.agent, outcome) if record is not None else ""
        if words:
            self._end(agent_id, StopIntent(by="system", at=now_ms(), grace_s=GRACE_S, limit=words))

    def idle(self, agent_id: str, timeout_ms: int) -> None:
        """End an agent that has given no sign of work for `timeout_ms`."""
        words = f"no sign of work for {timeout_ms / 1000:g} s (idleTimeoutMs)"
        self._end(agent_id, StopIntent(by="system", at=now_ms(), grace_s=GRACE_S, idle=words))

    def over(self, agent_id: str, linger_s: float) -> None:
        """End a CLI whose stdin was closed `linger_s` ago, because all was said, and that is still there."""
        words = f"its CLI did not end by itself within {linger_s:g} s"
        self._end(agent_id, StopIntent(by="system", at=now_ms(), grace_s=GRACE_S, over=words))

    def _end(self, agent_id: str, intent: StopIntent) -> None:
        record = self._registry.get(agent_id)
        if record is None or record.agent.ended or record.stop is not None or self._stop is None:
            return  # somebody has stopped it before: that is why it ends
        log.info("agent.reached_its_limit", agent=agent_id, **intent.evidence)
        try:
            self._stop(agent_id, intent)
        except SessionEnded:
            return
        except ApiError as error:  # a full disk: whoever has noticed will notice again
            log.error("agent.not_stopped", agent=agent_id, error=error.message)


def reached(agent: ManagedAgent, outcome: Outcome) -> str:
    """Return which limit the run is above, in words; empty: none, or it is ending by itself.

    The last answer that is allowed may come to its end: what is too much is that another one begins.
    """
    if outcome.finished and not agent.conversation:
        return ""
    if agent.max_turns is not None and outcome.turns > agent.max_turns:
        return f"the model has answered {agent.max_turns} times and goes on (maxTurns)"
    cost, most = outcome.cost_usd, agent.max_cost_usd
    if most is not None and cost is not None and cost > most:
        return f"it has cost {cost:.4g} of {most:.4g} USD (maxCostUsd)"
    return ""
