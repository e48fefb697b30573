"""What agents everywhere ask approval for: derived from the agents, answered by their hosts."""

from __future__ import annotations

from relay.core.agents import MAX_LIST, Agents
from relay.core.ports import Store
from relay.core.records import AgentRecord
from relay.core.steering import Steering
from relay.core.tokens import Caller
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery, ApprovalState
from relay.wire.errors import ApiError, Code
from relay.wire.questions import LIKE_AN_ID, check_answer, named, only, states, taken

__all__ = ["Approvals"]


class Approvals:
    def __init__(self, store: Store, agents: Agents, steering: Steering) -> None:
        self._store = store
        self._agents = agents
        self._steering = steering

    async def list(self, caller: Caller, query: ApprovalListQuery) -> list[Approval]:
        """Return what matches, oldest first. Raises `ApiError` `invalid`."""
        if not 0 < query.limit <= MAX_LIST:
            raise ApiError(Code.INVALID, f"limit must be from 1 to {MAX_LIST}")
        wanted = states(query.state)
        agent = await self._agents.find(caller, query.agent_id) if query.agent_id is not None else None
        async with self._store.reading() as transaction:
            records = await transaction.agents.asking(
                pending=wanted == {ApprovalState.PENDING},
                host_id=query.orchestrator_id,
                agent_id=agent.id if agent is not None else None,
            )
        found = [each for record in records for each in record.agent.approvals if each.state in wanted]
        found.sort(key=lambda approval: (approval.asked_at, approval.id))
        return found[: query.limit]

    async def get(self, caller: Caller, reference: str) -> Approval:
        """Return what `reference` names: an approval by id or prefix, or the agent that asks one thing.

        Raises `ApiError` `not_found` or `ambiguous`.
        """
        return (await self._find(caller, reference))[1]

    async def answer(self, caller: Caller, reference: str, request: AnswerRequest) -> Approval:
        """Have the agent's host give the answer, and return the approval as it is then.

        Raises `ApiError`: as `get` does, `conflict` for what was settled before, and what the host
        refuses with. The host decides; what is refused here could not become pending again.
        """
        check_answer(request)
        record, approval = await self._find(caller, reference)
        if approval.state is not ApprovalState.PENDING:
            raise taken(approval)
        return await self._steering.answer(caller, record, approval.id, request)

    async def _find(self, caller: Caller, reference: str) -> tuple[AgentRecord, Approval]:
        if not reference.startswith("ag-"):
            async with self._store.reading() as transaction:
                records = {record.id: record for record in await transaction.agents.asked(reference)}
            several = (approval for record in records.values() for approval in record.agent.approvals)
            approval = named(reference, several)
            if approval is not None:
                return records[approval.agent_id], approval
            if LIKE_AN_ID.fullmatch(reference):
                raise ApiError(
                    Code.NOT_FOUND, f"no approval {reference!r} here; `muster approvals -r --all` lists them"
                )
        record = await self._agents.find(caller, reference)
        return record, only(record.id, record.agent.approvals)
