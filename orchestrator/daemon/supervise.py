"""Holds the line to every running agent and writes down how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import structlog

from orchestrator.agents.approvals import settled
from orchestrator.agents.outcome import shown
from orchestrator.agents.record import AgentRecord, StopIntent
from orchestrator.agents.registry import Registry
from orchestrator.agents.succession import Next
from orchestrator.agents.verdict import Verdict, of_exit, of_loss, of_spawn_failure
from orchestrator.daemon.observations import Observations
from orchestrator.daemon.tail import tail_of
from relay.wire.agents import CauseKind, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError
from spawners.errors import SessionEnded, SessionLost, SpawnerError, SpawnFailed
from spawners.failpoint import failpoint
from spawners.launch import Exit
from spawners.providers.tally import Outcome
from spawners.session import Session
from spawners.watch import Watches

__all__ = ["Succession", "Supervisor"]

log = structlog.get_logger()

RETRY_S = 2.0
"""How long to wait before writing a verdict again that the database would not take."""


Succession = Callable[[AgentRecord, Verdict, int, Outcome | None], Next]


class Supervisor:
    """Sessions by agent id, one watching task each. Closing it leaves every agent running.

    `clean` deletes what a program was given, once its end has been written down. `succession` says what
    is to follow it.
    """

    def __init__(
        self,
        registry: Registry,
        clean: Callable[[AgentRecord], None],
        watches: Watches,
        observations: Observations,
        succession: Succession | None = None,
    ) -> None:
        self._registry = registry
        self._clean = clean
        self._watches = watches
        self._observations = observations
        self._succession = succession
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._starting: set[str] = set()

    @contextlib.contextmanager
    def starting(self, agent_id: str) -> Iterator[None]:
        """Note that `agent_id` is being started: it has no session yet, and nobody has lost it."""
        self._starting.add(agent_id)
        try:
            yield
        finally:
            self._starting.discard(agent_id)

    def unwatched(self) -> list[AgentRecord]:
        """Return the agents that have not ended, and that nobody watches or is about to watch."""
        held = self._sessions.keys() | self._starting
        return [record for record in self._registry.active if record.id not in held]

    def took(self, agent_id: str, session: Session) -> AgentRecord:
        """Take over a session that has just started or was found again; return the agent's record."""
        record = self._registry.get(agent_id)
        if record is None:
            raise LookupError(agent_id)
        self._sessions[agent_id] = session
        self._watches.respond(session)
        self._tasks[agent_id] = asyncio.create_task(self._watch(agent_id, session), name=f"watch {agent_id}")
        if record.agent.status in (Status.STARTING, Status.LOST):
            record = self._started(agent_id, session)
        self._observations.begin(record, session)
        if record.stop is not None:
            self._climb(record.stop, session)
        return record

    def _started(self, agent_id: str, session: Session) -> AgentRecord:
        started = session.started_ms
        known = self._registry.get(agent_id)
        waits = known is not None and self._observations.tells_when_ready(known.agent)
        try:
            record = self._registry.change(
                agent_id,
                "agent.changed",
                at=started or None,
                status=Status.RUNNING,
                pid=session.identity.pid,
                started_at=started,
                ready_at=known.agent.ready_at if known is not None and waits else started,
                cause=None,
                ended_at=None,
            )
        except ApiError:
            # Nobody would learn that it runs: better not to have started it.
            self._climb(StopIntent(by="system", at=now_ms(), grace_s=0.0, kill=True), session)
            raise
        failpoint("after_running_recorded")
        return record

    def live(self, agent_id: str) -> Session | None:
        """Return the session of an agent that has not ended."""
        return self._sessions.get(agent_id)

    def stop(self, agent_id: str, intent: StopIntent) -> AgentRecord:
        """Write the intent down, then have the keeper end the tree. Repeating it may only hurry it."""
        record = self._registry.get(agent_id)
        if record is None or record.agent.ended:
            raise SessionEnded(agent_id)
        if record.stop is not None and record.stop.evidence:
            intent = msgspec.structs.replace(intent, **record.stop.evidence)  # the first reason is the cause
        shown: dict[str, Any] = {}
        if record.agent.status is not Status.STOPPING:
            shown = {"status": Status.STOPPING, "stopping_at": intent.at}
        record = self._registry.change(agent_id, "agent.changed", record={"stop": intent}, **shown)
        failpoint("after_stop_recorded")
        session = self._sessions.get(agent_id)
        if session is not None:
            self._climb(intent, session)
        return record

    def _climb(self, intent: StopIntent, session: Session) -> None:
        task = asyncio.create_task(self._stop(intent, session), name=f"stop {session.ref.agent_id}")
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)

    async def _stop(self, intent: StopIntent, session: Session) -> None:
        interrupt_s = 0.0 if intent.kill else min(2.0, intent.grace_s)
        try:
            await session.stop(interrupt_s=interrupt_s, terminate_s=0.0 if intent.kill else intent.grace_s)
        except (SessionEnded, SessionLost):
            return  # the watching task has the exit, or finds the loss
        except SpawnerError as error:
            log.error("agent.not_stopped", agent=session.ref.agent_id, error=str(error))
            self._observations.note(session.ref.agent_id, "unstoppable", str(error))

    async def _watch(self, agent_id: str, session: Session) -> None:
        try:
            ended = await session.wait()
        except SessionLost as loss:
            await self.lost(agent_id, loss)
        else:
            await self.ended(agent_id, session, ended)
        finally:
            self._sessions.pop(agent_id, None)
            self._tasks.pop(agent_id, None)
            self._observations.end(agent_id)
            await session.detach()

    async def ended(self, agent_id: str, session: Session, ended: Exit) -> None:
        """Write down the verdict on `ended`."""
        failpoint("after_exit_read")
        record = self._registry.get(agent_id)
        if record is None:
            return
        tail = await tail_of(record.agent.mode, session, ended)
        outcome = await self._observations.finished(agent_id, ended.spool_end)
        record = self._registry.get(agent_id) or record
        verdict = of_exit(
            ended,
            stop=record.stop,
            timeout_ms=record.agent.timeout_ms,
            tail=tail,
            provider_error=_provider_error(outcome, ended),
        )
        said = {} if outcome is None else shown(outcome)
        if record.agent.started_at is None:
            said |= {"pid": session.identity.pid, "started_at": ended.started_ms}
        await self._record(agent_id, verdict, ended.at_ms, said, outcome)

    async def lost(self, agent_id: str, loss: SessionLost) -> None:
        """Write down that a session is gone without an exit record."""
        record = self._registry.get(agent_id)
        if record is None or record.agent.ended:
            return
        log.warning("agent.lost", agent=agent_id, kind=loss.kind, message=loss.message)
        tail = ""
        await self._record(agent_id, of_loss(loss, stopping=record.stop, tail=tail), now_ms(), {})

    def never_ran(self, agent_id: str, failure: SpawnFailed) -> AgentRecord:
        """Write down that the program could not be started: nothing of it ran. Returns the record."""
        known = self._registry.get(agent_id)
        verdict = of_spawn_failure(failure, known.stop if known else None)
        at = now_ms()
        following = self._following(known, verdict, at, None)
        record = self._registry.change(
            agent_id,
            "agent.ended",
            record={"successor": following.successor},
            status=verdict.status,
            cause=verdict.cause,
            ended_at=at,
            **following.shown,
        )
        self._clean(record)
        return record

    def _following(
        self, record: AgentRecord | None, verdict: Verdict, at: int, outcome: Outcome | None
    ) -> Next:
        if record is None or self._succession is None:
            return Next()
        return self._succession(record, verdict, at, outcome)

    def stay_down(self, agent_id: str, by: str) -> AgentRecord:
        """Have nothing follow an ended agent. Returns its record."""
        record = self._registry.get(agent_id)
        if record is None:
            raise LookupError(agent_id)
        if record.successor is None or self._registry.get(record.successor.agent_id) is not None:
            return record
        record = self._registry.change(
            agent_id,
            "agent.changed",
            record={"successor": None},
            restart_at=None,
            reason=f"nothing is started in its place: stopped by {by}",
        )
        self._clean(record)
        return record

    async def _record(
        self,
        agent_id: str,
        verdict: Verdict,
        at: int,
        said: dict[str, Any],
        outcome: Outcome | None = None,
    ) -> None:
        following = self._following(self._registry.get(agent_id), verdict, at or now_ms(), outcome)
        while True:
            record = self._registry.get(agent_id)
            if record is None or (record.agent.ended and record.agent.status is not Status.LOST):
                return
            try:
                record = self._registry.change(
                    agent_id,
                    "agent.ended",
                    at=at or None,
                    record={"successor": following.successor},
                    status=verdict.status,
                    cause=verdict.cause,
                    exit=verdict.exit,
                    ended_at=at or now_ms(),
                    activity=None,
                    activity_source=None,
                    activity_at=None,
                    approvals=settled(record.agent.approvals, (), {}, now_ms()),
                    **{"attention": None, "restart_at": None, **said, **following.shown},
                )
                break
            except ApiError as error:
                log.error("verdict.not_written", agent=agent_id, error=error.message, retry_s=RETRY_S)
                await asyncio.sleep(RETRY_S)
        failpoint("after_exit_recorded")
        self._clean(record)
        if verdict.cause.kind is CauseKind.UNKNOWN:
            log.warning("agent.ended", agent=agent_id, message=verdict.cause.message)

    async def close(self) -> None:
        """Let go of every agent; all of them go on running."""
        for task in [*self._tasks.values(), *self._stops]:
            task.cancel()
        await asyncio.gather(*self._tasks.values(), *self._stops, return_exceptions=True)
        for session in list(self._sessions.values()):
            await session.detach()


def _provider_error(outcome: Outcome | None, ended: Exit) -> str | None:
    """What went wrong, from the provider's own words; dropped bytes may hold the last of them."""
    if outcome is None:
        return None
    return outcome.failure if ended.code == 0 and not ended.dropped else outcome.error
