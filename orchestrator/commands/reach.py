"""What commands reach into: the records, the sessions behind them, and what is seen and heard of both."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.config import Policy
from orchestrator.daemon.observations import Observation, Observations
from orchestrator.daemon.supervise import Supervisor
from relay.wire.agents import Status
from relay.wire.errors import ApiError, Code
from spawners.conversation import Conversation
from spawners.providers.registry import Registry as Providers
from spawners.session import Session
from spawners.typist import Typist
from spawners.watch import Watches

__all__ = ["Reach"]


@dataclass(frozen=True, slots=True)
class Reach:
    registry: Registry
    supervisor: Supervisor
    watches: Watches
    observations: Observations
    providers: Providers
    policy: Policy

    def running(self, reference: str) -> tuple[AgentRecord, Session]:
        """Return an agent's record and its session. Raises `ApiError` `not_found`, `ended` or `busy`."""
        record = self.registry.find(reference)
        session = self.supervisor.live(record.id)
        if not record.agent.ended and session is not None:
            return record, session
        if record.agent.status is Status.STARTING:
            raise ApiError(Code.BUSY, f"agent {record.id} is still starting; try again")
        said = f"agent {record.id} is {record.agent.status}, so nothing can reach it"
        if record.agent.provider_session_id:
            said += "; resume it to go on with its conversation"
        raise ApiError(Code.ENDED, said)

    def observed(self, reference: str) -> tuple[AgentRecord, Observation]:
        """Return a running agent's record and what observes it. Raises `ApiError` as `running` does."""
        record, _ = self.running(reference)
        observation = self.observations.get(record.id)
        if observation is None:
            raise ApiError(Code.BUSY, f"agent {record.id} is just ending")
        return record, observation

    def conversation(self, reference: str) -> tuple[AgentRecord, Conversation]:
        """Return a running agent's record and the conversation with it.

        Raises `ApiError`: as `running` does, and `conflict` for an agent that is not spoken with.
        """
        record, observation = self.observed(reference)
        if observation.conversation is None:
            raise ApiError(
                Code.CONFLICT,
                f"agent {record.id} holds no conversation: spawn it with conversation, or in mode embedded",
            )
        return record, observation.conversation

    def typist(self, reference: str) -> Typist:
        """Return the keyboard of a running agent's terminal. Raises `ApiError` as `running` does."""
        record, session = self.running(reference)
        name = record.agent.provider
        called = "the program" if name == "command" else name
        return Typist(session, self.watches, called, self.providers.get(name).manifest())
