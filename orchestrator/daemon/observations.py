"""The observers of all running agents: made when a session is taken over, let go when it has ended."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Thresholds
from orchestrator.daemon.hooks import Hooks
from orchestrator.daemon.limits import Limits
from orchestrator.daemon.observe import Observer
from orchestrator.daemon.watch_screens import Screens
from relay.wire.agents import ManagedAgent, Mode
from spawners.conversation import Conversation, Journal
from spawners.errors import SpawnerError
from spawners.providers.base import Ability, Opening, Provider
from spawners.providers.registry import Registry as Providers
from spawners.providers.tally import Outcome
from spawners.session import Session
from spawners.spool import Spool
from spawners.watch import Watches

__all__ = ["Observation", "Observations"]

log = structlog.get_logger()

AGAIN_S = 5.0
"""Until a stop is tried again that could not be written down."""


@dataclass(frozen=True, slots=True)
class Observation:
    """`conversation` is there for a headless agent of a provider whose output has a meaning, and
    `listening` its task, which ends with the agent's output. `hooks` is there for one in a terminal whose
    provider has them, `others` are tasks that go on until they are cancelled."""

    observer: Observer
    session: Session
    conversation: Conversation | None = None
    listening: asyncio.Task[None] | None = None
    hooks: Hooks | None = None
    others: tuple[asyncio.Task[None], ...] = ()


class Observations:
    """`plans_dir` holds a folder for each agent, with the journal of its dialogue."""

    def __init__(
        self,
        registry: Registry,
        providers: Providers,
        plans_dir: str,
        limits: Limits,
        watches: Watches,
        thresholds: Thresholds,
    ) -> None:
        self._registry = registry
        self._providers = providers
        self._plans_dir = plans_dir
        self._limits = limits
        self._screens = Screens(watches)
        self._thresholds = thresholds
        self._observations: dict[str, Observation] = {}

    def folder(self, agent_id: str) -> str:
        """Where the files of an agent's plan are."""
        return os.path.join(self._plans_dir, agent_id)

    def journal(self, agent_id: str) -> Journal:
        return Journal(os.path.join(self.folder(agent_id), "dialogue.jsonl"))

    def hooks_file(self, agent_id: str) -> str:
        """Where the program of an agent's hooks leaves what no daemon has taken."""
        return os.path.join(self.folder(agent_id), "hooks.jsonl")

    def clean(self, agent_id: str) -> None:
        """Delete what an ended agent was given."""
        shutil.rmtree(self.folder(agent_id), ignore_errors=True)

    def get(self, agent_id: str) -> Observation | None:
        return self._observations.get(agent_id)

    def note(self, agent_id: str, kind: str, words: str) -> None:
        """Have `words` stand among what needs attention about an agent (see `stuck.URGENCY`)."""
        observation = self._observations.get(agent_id)
        if observation is not None:
            observation.observer.note(kind, words)

    def tells_when_ready(self, agent: ManagedAgent) -> bool:
        """Whether the agent's CLI is going to say that it is ready; any other is as soon as it runs."""
        provider = self._providers.find(agent.provider)
        if provider is None or not provider.binaries:
            return False
        if agent.mode is Mode.HEADLESS:
            return Ability.RESULT in provider.abilities
        return provider.manifest() is not None or Ability.HOOKS in provider.abilities

    def begin(self, record: AgentRecord, session: Session) -> None:
        """Observe an agent that has just started or was found again."""
        agent = record.agent
        observer = Observer(
            self._registry,
            agent.id,
            self._limits.check,
            record.approval_timeout_ms,
            self._thresholds,
            lambda: Spool(record.directory).written_ms,
        )
        provider = self._providers.find(agent.provider)
        if provider is None or not provider.binaries:
            observation = Observation(observer, session)
            observer.caught_up()
        elif agent.mode is Mode.HEADLESS:
            observation = self._converse(agent.id, observer, session, provider)
        else:
            observation = self._watch(agent.id, observer, session, provider)
        self._observations[agent.id] = observation

    def _watch(self, agent_id: str, observer: Observer, session: Session, provider: Provider) -> Observation:
        manifest = provider.manifest()
        hooks = None
        if Ability.HOOKS in provider.abilities:
            hooks = Hooks(provider, observer, self.hooks_file(agent_id))
            hooks.collect()
        observer.caught_up()
        if manifest is None:
            return Observation(observer, session, hooks=hooks)
        watching = _task(self._screens.watch(session, manifest, observer), f"watch the screen of {agent_id}")
        return Observation(observer, session, hooks=hooks, others=(watching,))

    def _converse(
        self, agent_id: str, observer: Observer, session: Session, provider: Provider
    ) -> Observation:
        journal = self.journal(agent_id)
        opening = journal.read()[0] or Opening()
        dialogue = provider.dialogue(opening)
        speaks = opening.channel != "stream"
        conversation = Conversation(session, dialogue, journal, observer.heard, speaks=speaks)
        listening = _task(self._listen(conversation, observer), f"listen to {agent_id}")
        lingering = _task(self._linger(conversation, opening.linger_s), f"end {agent_id} when all was said")
        return Observation(observer, session, conversation, listening, others=(lingering,))

    async def _linger(self, conversation: Conversation, linger_s: float) -> None:
        await conversation.closed.wait()
        await asyncio.sleep(linger_s)
        while True:
            self._limits.over(conversation.agent_id, linger_s)
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, conversation: Conversation, observer: Observer) -> None:
        async def show_once_caught_up() -> None:
            await conversation.caught_up.wait()
            observer.caught_up()

        showing = asyncio.create_task(show_once_caught_up())
        try:
            await conversation.run()
        except SpawnerError as error:
            log.warning("agent.not_heard", agent=conversation.agent_id, error=str(error))
        except Exception:  # the edge to adapters, which may be a stranger's
            log.exception("agent.not_heard", agent=conversation.agent_id)
        finally:
            showing.cancel()

    async def finished(self, agent_id: str, upto: int) -> Outcome | None:
        """Wait until all that an ended agent has said `upto` that offset was heard; return what it comes to.

        What it leaves behind may hold its output open for ever. None where its output has no meaning to
        us. What the hooks of one in a terminal said counts.
        """
        observation = self._observations.get(agent_id)
        if observation is None:
            return None
        listening, conversation = observation.listening, observation.conversation
        if listening is not None and conversation is not None:
            upto_there = asyncio.create_task(conversation.heard_upto(upto))
            await asyncio.wait((listening, upto_there), return_when=asyncio.FIRST_COMPLETED)
            upto_there.cancel()
            try:
                conversation.over()
            except Exception:  # the same edge; without a verdict it would never end
                log.exception("agent.not_heard", agent=agent_id)
            return observation.observer.outcome
        outcome = observation.observer.outcome
        # Whoever works in a terminal may leave at any time.
        return replace(outcome, finished=True) if outcome.ready else None

    def end(self, agent_id: str) -> None:
        """Let go of an agent's observation."""
        observation = self._observations.pop(agent_id, None)
        if observation is not None:
            observation.observer.close()
            for task in _tasks(observation):
                task.cancel()

    async def close(self) -> None:
        """Let go of all; their agents go on running."""
        tasks = [task for observation in self._observations.values() for task in _tasks(observation)]
        for agent_id in [*self._observations]:
            self.end(agent_id)
        await asyncio.gather(*tasks, return_exceptions=True)


def _task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)


def _tasks(observation: Observation) -> list[asyncio.Task[None]]:
    listening = [observation.listening] if observation.listening is not None else []
    return [*listening, *observation.others]
