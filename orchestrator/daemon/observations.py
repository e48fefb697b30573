"""The observers of all running agents: made when a session is taken over, let go when it has ended."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.daemon.observe import Observer
from relay.wire.agents import Mode
from spawners.conversation import Conversation, Journal
from spawners.errors import SpawnerError
from spawners.providers.base import Opening
from spawners.providers.registry import Registry as Providers
from spawners.providers.tally import Outcome
from spawners.session import Session

__all__ = ["Observation", "Observations"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Observation:
    """`conversation` is there for a headless agent of a provider whose output has a meaning, and
    `listening` its task, which ends with the agent's output."""

    observer: Observer
    session: Session
    conversation: Conversation | None = None
    listening: asyncio.Task[None] | None = None


class Observations:
    """`plans_dir` holds a folder for each agent, with the journal of its dialogue."""

    def __init__(
        self,
        registry: Registry,
        providers: Providers,
        plans_dir: str,
        acted: Callable[[str, Outcome], None],
    ) -> None:
        self._registry = registry
        self._providers = providers
        self._plans_dir = plans_dir
        self._acted = acted
        self._observations: dict[str, Observation] = {}

    def folder(self, agent_id: str) -> str:
        """Where the files of an agent's plan are."""
        return os.path.join(self._plans_dir, agent_id)

    def journal(self, agent_id: str) -> Journal:
        return Journal(os.path.join(self.folder(agent_id), "dialogue.jsonl"))

    def clean(self, agent_id: str) -> None:
        """Delete what an ended agent was given."""
        shutil.rmtree(self.folder(agent_id), ignore_errors=True)

    def get(self, agent_id: str) -> Observation | None:
        return self._observations.get(agent_id)

    def begin(self, record: AgentRecord, session: Session) -> None:
        """Observe an agent that has just started or was found again."""
        agent = record.agent
        observer = Observer(self._registry, agent.id, self._acted, record.approval_timeout_ms)
        provider = self._providers.find(agent.provider)
        if provider is None or not provider.binaries or agent.mode is not Mode.HEADLESS:
            self._observations[agent.id] = Observation(observer, session)
            observer.caught_up()
            return
        journal = self.journal(agent.id)
        opening = journal.read()[0] or Opening()
        dialogue = provider.dialogue(opening)
        speaks = opening.channel != "stream"
        conversation = Conversation(session, dialogue, journal, observer.heard, speaks=speaks)
        listening = asyncio.create_task(self._listen(conversation, observer), name=f"listen to {agent.id}")
        self._observations[agent.id] = Observation(observer, session, conversation, listening)

    async def _listen(self, conversation: Conversation, observer: Observer) -> None:
        async def show_once_caught_up() -> None:
            await conversation.caught_up.wait()
            observer.caught_up()

        showing = asyncio.create_task(show_once_caught_up())
        try:
            await conversation.run()
        except SpawnerError as error:
            log.warning("agent.not_heard", agent=conversation.agent_id, error=str(error))
        finally:
            showing.cancel()

    async def finished(self, agent_id: str, upto: int) -> Outcome | None:
        """Wait until all that an ended agent has said, `upto` that offset, was heard; return what it comes to.

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
            conversation.over()
        elif not observation.observer.outcome.ready:
            return None
        return observation.observer.outcome

    def end(self, agent_id: str) -> None:
        """Let go of an agent's observation."""
        observation = self._observations.pop(agent_id, None)
        if observation is not None:
            observation.observer.close()
            if observation.listening is not None:
                observation.listening.cancel()

    async def close(self) -> None:
        """Let go of all; their agents go on running."""
        listening = [o.listening for o in self._observations.values() if o.listening is not None]
        for agent_id in [*self._observations]:
            self.end(agent_id)
        await asyncio.gather(*listening, return_exceptions=True)
