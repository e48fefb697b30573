"""Takes spawn requests: one row and one command, whole or not at all."""

from __future__ import annotations

import secrets
from fnmatch import fnmatchcase

from relay.core.agents import Agents
from relay.core.changes import Changes, host_topic
from relay.core.leases import Leases
from relay.core.mirror import shown
from relay.core.placement import Choice, place
from relay.core.queue import Queue
from relay.core.records import AgentRecord, NewCommand
from relay.core.tokens import Caller
from relay.core.validation import check_spawn, title_of
from relay.wire.agents import ManagedAgent, SpawnRequest, SpawnResponse, Status
from relay.wire.base import now_ms
from relay.wire.commands import SpawnCommand
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from relay.wire.resuming import going_on

__all__ = ["Spawning"]


class Spawning:
    """`queue_timeout_ms` is how long a spawn waits for a host unless the request says otherwise."""

    def __init__(
        self, changes: Changes, leases: Leases, queue: Queue, agents: Agents, queue_timeout_ms: int
    ) -> None:
        self._changes = changes
        self._agents = agents
        self._leases = leases
        self._queue = queue
        self._queue_timeout_ms = queue_timeout_ms

    async def spawn(self, caller: Caller, request: SpawnRequest) -> SpawnResponse:
        """Store the agent as queued, with its command; the same key of the same caller only once.

        Raises `ApiError` for a request that nobody could carry out.
        """
        if request.resume is not None:
            former = await self._agents.find(caller, request.resume)
            request = going_on(request, former.agent)
        check_spawn(request)
        self._check_keys(request)
        if request.orchestrator_id is not None:
            self._leases.known(request.orchestrator_id)
        async with self._changes.begin() as change:
            if request.idempotency_key is not None:
                known = await change.tx.agents.by_key(caller.name, request.idempotency_key)
                if known is not None:
                    host = self._leases.record(known.host_id)
                    return SpawnResponse(agent=shown(known, host), created=False)
            if request.agent_id is not None and await change.tx.agents.get(request.agent_id) is not None:
                raise ApiError(
                    Code.CONFLICT, f"agentId {request.agent_id} is taken; leave it out to get a new one"
                )
            choice = place(request, self._leases)
            record = self._record(caller, request, choice)
            command = SpawnCommand(
                agent_id=record.id, request=request, requested_by=caller.shown, queued_at=record.stored_at
            )
            await change.tx.agents.put([record])
            await change.tx.commands.add(
                NewCommand(
                    command,
                    record.stored_at,
                    choice.host_id,
                    deadline_at=record.agent.deadline_at,
                    delivered_at=record.delivered_at,
                )
            )
            change.agent_event(EventType.AGENT_QUEUED, record)
            if choice.host_id is not None:
                change.wake(host_topic(choice.host_id))
        self._placed(record, choice)
        return SpawnResponse(agent=shown(record, self._leases.record(record.host_id)))

    def _check_keys(self, request: SpawnRequest) -> None:
        """Refuse what the hosts would refuse, before any of it is stored here. Raises `ApiError`."""
        adapters = (info for lease in self._leases for info in lease.record.facts.capabilities)
        keys = {name for info in adapters for name in info.secrets}
        for name in sorted(request.env):
            if any(fnmatchcase(name, key) for key in keys):
                raise ApiError(
                    Code.POLICY_REFUSED,
                    f"{name} holds a key, and keys do not travel; leave it out, write it into secrets.env "
                    "(chmod 600) in the config folder of the host",
                    rule="keys",
                )

    def _placed(self, record: AgentRecord, choice: Choice) -> None:
        lease = self._leases.get(choice.host_id)
        if lease is None:
            self._queue.poke()
            return
        lease.placed[record.id] = False
        if record.delivered_at is None:
            self._queue.watch(record.agent.deadline_at)

    def _record(self, caller: Caller, request: SpawnRequest, choice: Choice) -> AgentRecord:
        now = now_ms()
        agent = ManagedAgent(
            id=request.agent_id or f"ag-{secrets.token_hex(6)}",
            status=Status.QUEUED,
            provider=request.provider,
            mode=request.mode,
            created_at=now,
            orchestrator_id=choice.host_id or request.orchestrator_id,
            cwd=request.cwd,
            label=request.label,
            title=title_of(request),
            approval_mode=request.approval,
            model=request.model,
            updated_at=now,
            received_at=now,
            reason=choice.reason,
            deadline_at=now + (request.queue_timeout_ms or self._queue_timeout_ms),
            timeout_ms=request.timeout_ms,
            idle_timeout_ms=request.idle_timeout_ms,
            max_turns=request.max_turns,
            max_cost_usd=request.max_cost_usd,
            conversation=request.conversation,
            resumed_from=request.resume,
            restart=request.restart,
            on_rate_limit=request.on_rate_limit,
            leftovers=request.leftovers,
            parent_id=request.parent_id,
            requested_by=caller.shown,
            idempotency_key=request.idempotency_key,
            env_keys=sorted(request.env),
            tags=request.tags,
            capabilities=request.capabilities,
        )
        lease = self._leases.get(choice.host_id)
        # To note that here saves a transaction of its own between the caller's answer and the host.
        delivered_at = now if lease is not None and lease.listens else None
        return AgentRecord(agent, now, caller.name, delivered_at)
