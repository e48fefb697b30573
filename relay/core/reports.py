"""Takes what hosts say of their agents: reports in order, and full rosters."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import structlog

from relay.core.changes import Change, Changes, agent_topic
from relay.core.leases import Lease, Leases
from relay.core.mirror import lost, merge
from relay.core.ports import StorageUnavailable
from relay.core.queue import Queue
from relay.core.records import AgentRecord, TokenRecord
from relay.core.tokens import Tokens
from relay.wire.agents import ManagedAgent
from relay.wire.base import now_ms
from relay.wire.events import EventType
from relay.wire.orchestrators import AckClass, Report, ReportAck, ReportBatch, ReportReply, Roster

__all__ = ["Intake", "Reports"]

HEX_DIGEST = 64

log = structlog.get_logger("relay.reports")


class Intake:
    """One host's word on a number of agents, within one change."""

    def __init__(self, change: Change, lease: Lease, known: dict[str, AgentRecord]) -> None:
        self._change = change
        self._lease = lease
        self._known = known
        self._changed: dict[str, AgentRecord] = {}
        self.ended: list[str] = []

    @classmethod
    async def begin(cls, change: Change, lease: Lease, ids: list[str]) -> Intake:
        return cls(change, lease, await change.tx.agents.get_many(ids))

    async def take(
        self, said: ManagedAgent, *, report: Report | None = None, quiet: bool = False
    ) -> str | None:
        """Merge one snapshot; return why it was refused, or None.

        `quiet` logs no event, except that an agent was found: a roster repeats what reports tell.
        """
        before = self._known.get(said.id)
        merged = merge(before, said, self._lease.record.id, now_ms())
        if merged.refused is not None:
            return merged.refused
        after = merged.record
        if after is not None:
            if before is not None and not before.confirmed and before.delivered_at is None:
                await self._withdraw(said.id)
            self._known[said.id] = self._changed[said.id] = after
            self._change.wake(agent_topic(said.id))
            self._change.approval_events(before, after, None if report is None else report.at)
            if after.agent.ended and (before is None or not before.agent.ended):
                self.ended.append(said.id)
        if merged.event is not None and (not quiet or merged.event is EventType.AGENT_FOUND):
            told = AgentRecord(said, now_ms()) if after is None else after
            told = replace(told, agent=_on(told.agent, self._lease.record.id))
            at = said.updated_at if report is None else report.at
            kind = None if report is None else report.kind
            self._change.agent_event(merged.event, told, at=at or now_ms(), kind=kind)
        return None

    async def store(self) -> None:
        await self._change.tx.agents.put(list(self._changed.values()))

    async def _withdraw(self, agent_id: str) -> None:
        """The host has an agent whose spawn was never sent to it (the database is an older copy):
        sending it now would start a second one."""
        commands = await self._change.tx.commands.of_agent(agent_id)
        await self._change.tx.commands.delete([command.id for command in commands if command.kind == "spawn"])


def _on(agent: ManagedAgent, host_id: str) -> ManagedAgent:
    return msgspec.structs.replace(agent, orchestrator_id=host_id)


class Reports:
    def __init__(self, changes: Changes, leases: Leases, queue: Queue, tokens: Tokens) -> None:
        self._changes = changes
        self._leases = leases
        self._queue = queue
        self._tokens = tokens

    async def batch(self, host_id: str, batch: ReportBatch) -> ReportReply:
        """Apply reports in order, each at most once, all in one transaction.

        Raises `ApiError` for a stale fence. When the store cannot take them, every report that it
        does not have yet is answered with `retry`.
        """
        self._leases.fenced(host_id, batch)
        try:
            return await self._apply(host_id, batch)
        except StorageUnavailable as error:
            log.warning("reports not stored", host=host_id, error=str(error))
            return ReportReply(
                acks=[
                    ReportAck(seq=report.seq, ack=AckClass.RETRY, message=str(error))
                    for report in batch.reports
                ]
            )

    async def _apply(self, host_id: str, batch: ReportBatch) -> ReportReply:
        acks: list[ReportAck] = []
        own_tokens: list[TokenRecord] = []
        async with self._changes.begin() as change:
            lease = self._leases.fenced(host_id, batch)
            last = await change.tx.hosts.last_seq(host_id)
            intake = await Intake.begin(change, lease, [report.agent.id for report in batch.reports])
            for report in batch.reports:
                if report.seq <= last:
                    acks.append(ReportAck(seq=report.seq, ack=AckClass.DUPLICATE))
                    continue
                last = report.seq
                refused = await intake.take(report.agent, report=report)
                ack = AckClass.COMMITTED if refused is None else AckClass.REJECTED
                acks.append(ReportAck(seq=report.seq, ack=ack, message=refused))
                if refused is None and report.token_hash and len(report.token_hash) == HEX_DIGEST:
                    own_tokens.append(Tokens.of_agent(report.agent.id, report.token_hash))
            await intake.store()
            for token in own_tokens:
                await change.tx.tokens.put(token)
            await change.tx.hosts.set_last_seq(host_id, last)
        self._tokens.adopt(own_tokens)
        self.settle(lease, intake)
        return ReportReply(acks=acks)

    async def roster(self, host_id: str, roster: Roster) -> ReportReply:
        """Take the host's agents as they are; what it does not know any more is lost.

        Left alone are spawns that it has not confirmed yet, and agents whose last word is younger
        than the roster (if it says when it was taken).
        """
        async with self._changes.begin() as change:
            lease = self._leases.fenced(host_id, roster)
            intake = await Intake.begin(change, lease, [agent.id for agent in roster.agents])
            for agent in roster.agents:
                await intake.take(agent, quiet=True)
            await intake.store()
            named = {agent.id for agent in roster.agents}
            for record in await change.tx.agents.live_of(host_id):
                younger = 0 < roster.taken_at <= record.agent.updated_at
                if record.id in named or not record.confirmed or younger:
                    continue
                gone = lost(record, "the host no longer knows this agent", now_ms())
                await change.tx.agents.put([gone])
                change.approval_events(record, gone)
                change.agent_event(EventType.AGENT_ENDED, gone)
                intake.ended.append(record.id)
        lease.roster_epoch = lease.record.epoch
        lease.count(frozenset(agent.id for agent in roster.agents if not agent.ended))
        self.settle(lease, intake)
        self._queue.poke()
        return ReportReply(acks=[])

    def settle(self, lease: Lease, intake: Intake) -> None:
        """After the commit: give back the capacity of what has ended."""
        for agent_id in intake.ended:
            lease.agent_ended(agent_id)
        if intake.ended:
            self._queue.poke()
