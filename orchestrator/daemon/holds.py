"""Goes on with conversations that a rate limit has ended the turn of, once that is over."""

from __future__ import annotations

import asyncio
import contextlib
import random

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.succession import GO_ON, hold_until
from orchestrator.daemon.observations import Observation, Observations
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from relay.wire.events import EventType
from spawners.providers.base import ProviderError

__all__ = ["go_on_after_limits"]

log = structlog.get_logger()

LOOK_S = 60.0
"""The clock may be set, and the host may sleep; so no wait is longer."""

AGAIN_MS = 5_000
"""Until what was said before a daemon's start is read again."""


async def go_on_after_limits(registry: Registry, observations: Observations) -> None:
    """Work until cancelled. When to go on stands in the agent's `restartAt`, so it survives the daemon."""
    holds = _Holds(registry, observations)
    with registry.watch() as news:
        for record in registry.active:
            holds.look(record.id)
        while True:
            agent_id = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(holds.pause_s):
                    agent_id = (await news.get()).agent_id
            try:
                holds.look(agent_id) if agent_id is not None else holds.go_on()
            except ApiError as error:  # a full disk; the next event, or a minute later, tries again
                log.error("agent.hold_not_written", agent=agent_id, error=error.message)
                await asyncio.sleep(AGAIN_MS / 1000)


class _Holds:
    """The conversations that wait; an event about any other agent costs one look at its record."""

    def __init__(self, registry: Registry, observations: Observations) -> None:
        self._registry = registry
        self._observations = observations
        self._due: dict[str, int] = {}

    @property
    def pause_s(self) -> float:
        first = min(self._due.values(), default=now_ms() + LOOK_S * 1000)
        return min(LOOK_S, max(0.0, (first - now_ms()) / 1000))

    def look(self, agent_id: str) -> None:
        """Note when an agent is to go on, if its turn has just ended at a limit, or that it need not."""
        record = self._registry.get(agent_id)
        if record is None or not _may_wait(record):
            self._due.pop(agent_id, None)
            return
        at, observation = record.agent.restart_at, self._observations.get(agent_id)
        if observation is None or observation.conversation is None:
            return
        if not observation.conversation.caught_up.is_set():
            if at is not None:
                self._due[agent_id] = at
            return
        if _limited(observation):
            self._due[agent_id] = self._wait(record, observation) if at is None else at
        else:
            self._over(agent_id, at)

    def _wait(self, record: AgentRecord, observation: Observation) -> int:
        outcome = observation.observer.outcome
        holds = record.holds + 1 if outcome.turns <= record.answers else 1
        at = hold_until(outcome, now_ms(), holds, random.random())  # noqa: S311 - spreads load, guards nothing
        log.info("agent.held", agent=record.id, why=outcome.rate_limited, until=at)
        kept = {"holds": holds, "answers": outcome.turns}
        self._registry.change(record.id, EventType.AGENT_CHANGED, record=kept, restart_at=at)
        return at

    def _over(self, agent_id: str, at: int | None) -> None:
        self._due.pop(agent_id, None)
        if at is not None:
            self._registry.change(agent_id, EventType.AGENT_CHANGED, restart_at=None)

    def go_on(self) -> None:
        """Tell those whose time has come to go on."""
        for agent_id in [name for name, at in self._due.items() if at <= now_ms()]:
            observation = self._observations.get(agent_id)
            conversation = observation.conversation if observation is not None else None
            if observation is None or conversation is None or not conversation.caught_up.is_set():
                self._due[agent_id] = now_ms() + AGAIN_MS
                continue
            if _limited(observation):
                try:
                    conversation.send(GO_ON)
                except ProviderError as error:
                    log.warning("agent.not_gone_on", agent=agent_id, why=error.message)
            self._over(agent_id, now_ms())


def _may_wait(record: AgentRecord) -> bool:
    agent = record.agent
    return agent.conversation and agent.on_rate_limit == "resume" and not agent.ended


def _limited(observation: Observation) -> bool:
    """Whether a rate limit has ended its turn, and nothing was said to it since."""
    outcome, conversation = observation.observer.outcome, observation.conversation
    over = conversation is not None and not conversation.turns.busy
    return over and outcome.finished and outcome.rate_limited is not None
