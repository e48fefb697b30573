"""Starts the successors of ended agents, each once, at its time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import msgspec
import structlog

from orchestrator.agents.record import AgentRecord, Successor
from orchestrator.agents.registry import Registry
from orchestrator.agents.succession import GO_ON, Ended, Next, follow
from orchestrator.agents.verdict import Verdict
from orchestrator.commands.spawn import Asker, Spawning
from orchestrator.store.requests import Kept, Requests
from relay.wire.agents import SpawnRequest
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from spawners.failpoint import failpoint
from spawners.providers.base import Ability
from spawners.providers.registry import Registry as Providers
from spawners.providers.tally import Outcome

__all__ = ["Restarts", "requested"]

log = structlog.get_logger()

LOOK_S = 60.0
"""The clock may be set, and the host may sleep; so no wait is longer."""

AGAIN_MS = 30_000
"""When to ask again where the host takes no agents for now."""

PASSING = frozenset({"drain", "policy.max_agents"})
"""Refusals that end by themselves."""


class Restarts:
    """`succession` is asked with every verdict; `run` starts what was decided then.

    A daemon that is killed at any point neither drops a successor nor starts it twice: its id stands in
    the record of the agent it follows, and an id is never spawned twice.
    """

    def __init__(self, registry: Registry, providers: Providers, requests: Requests) -> None:
        self._registry = registry
        self._providers = providers
        self._requests = requests
        self._decided = asyncio.Event()

    def succession(self, record: AgentRecord, verdict: Verdict, at: int, outcome: Outcome | None) -> Next:
        """Return what is to be written down with `verdict`."""
        provider = self._providers.find(record.agent.provider)
        can_resume = provider is not None and Ability.RESUME in provider.abilities
        return follow(
            Ended(
                record=record,
                verdict=verdict,
                at=at,
                outcome=outcome,
                can_resume=can_resume,
                chance=random.random(),  # noqa: S311 - spreads load, guards nothing
            )
        )

    def ended(self, record: AgentRecord) -> None:
        """Take note of a verdict that was written down: of what follows, or that nothing does."""
        if record.successor is None:
            self._requests.delete(record.id)
        else:
            self._decided.set()

    async def run(self, spawning: Spawning) -> None:
        """Work until cancelled."""
        self._requests.keep_only({record.id for record in self._registry if _needs_request(record)})
        while True:
            self._decided.clear()
            waits_ms = await self._start_due(spawning)
            try:
                async with asyncio.timeout(min(LOOK_S, waits_ms / 1000)):
                    await self._decided.wait()
            except TimeoutError:
                continue

    async def _start_due(self, spawning: Spawning) -> float:
        """Start those whose time has come; return how long it is until the next one's."""
        for record in self._registry:
            if record.successor is not None and record.successor.at <= now_ms():
                try:
                    await self._start(record, record.successor, spawning)
                except Exception:
                    log.exception("agent.not_restarted", agent=record.id, again_s=AGAIN_MS / 1000)
                    await asyncio.sleep(1.0)  # in case that not even the delay can be written down
                    with contextlib.suppress(ApiError):
                        self._later(record.id)
        times = [record.successor.at for record in self._registry if record.successor is not None]
        return max(0.0, min(times, default=now_ms() + LOOK_S * 1000) - now_ms())

    async def _start(self, record: AgentRecord, successor: Successor, spawning: Spawning) -> None:
        if self._registry.get(successor.agent_id) is not None:
            self._started(record.id, successor)  # by the daemon before this one
            return
        kept = self._requests.load(record.id) or self._requests.load(successor.agent_id)
        if kept is None:
            self._give_up(record.id, "what it was asked for is not known any more")
            return
        self._requests.save(successor.agent_id, kept)
        failpoint("after_request_kept")
        asker = Asker(name=record.caller, remote=kept.remote, agent_id=record.agent.parent_id)
        try:
            await spawning.spawn(requested(kept, record, successor), asker, succeeds=record.id)
        except ApiError as error:
            if self._registry.get(successor.agent_id) is None:
                self._requests.delete(successor.agent_id)
                self._refused(record, error)
                return
        failpoint("after_successor_started")
        self._started(record.id, successor)

    def _started(self, agent_id: str, successor: Successor) -> None:
        self._change(agent_id, None, restarted_as=successor.agent_id, restart_at=None, reason=None)
        self._requests.delete(agent_id)
        log.info("agent.restarted", agent=agent_id, successor=successor.agent_id)

    def _refused(self, record: AgentRecord, error: ApiError) -> None:
        now = self._registry.get(record.id)
        if now is None or now.successor is None:
            return  # it was called off meanwhile
        if error.code is Code.STORAGE_FULL or error.details.get("rule") in PASSING:
            self._later(record.id)
        else:
            self._give_up(record.id, error.message)

    def _later(self, agent_id: str) -> None:
        record = self._registry.get(agent_id)
        if record is not None and record.successor is not None:
            at = now_ms() + AGAIN_MS
            self._change(agent_id, msgspec.structs.replace(record.successor, at=at), restart_at=at)

    def _give_up(self, agent_id: str, why: str) -> None:
        log.warning("agent.not_restarted", agent=agent_id, why=why)
        self._change(agent_id, None, restart_at=None, reason=None, attention=f"not started again: {why}")
        self._requests.delete(agent_id)

    def _change(self, agent_id: str, successor: Successor | None, **shown: Any) -> None:
        if self._registry.get(agent_id) is not None:
            self._registry.change(agent_id, EventType.AGENT_CHANGED, record={"successor": successor}, **shown)


def _needs_request(record: AgentRecord) -> bool:
    return record.successor is not None or not record.agent.ended


def requested(kept: Kept, record: AgentRecord, successor: Successor) -> SpawnRequest:
    """Return what is asked for in the place of `record`: the same again, or to go on with what it did.

    It may do what `record` might do at its end, which may be less than what it was started with.
    """
    request = msgspec.structs.replace(
        kept.request,
        agent_id=successor.agent_id,
        idempotency_key=None,
        approval_mode=record.agent.approval_mode,
    )
    if not successor.resumes:
        return request
    takes_messages = request.conversation or request.mode.on_pty
    prompt: str | None = GO_ON
    if successor.idle and takes_messages:
        prompt = None
    elif not record.agent.turns and not record.agent.restarts:
        prompt = request.prompt  # of a conversation that was resumed with it, and has not answered it
    return msgspec.structs.replace(request, resume=record.id, prompt=prompt, cwd=None)
