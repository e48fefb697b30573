"""Denies what agents ask and nobody answers in time, also while the relay is away."""

from __future__ import annotations

import asyncio

import structlog

from orchestrator.commands.answer import expire
from orchestrator.commands.reach import Reach
from relay.wire.approvals import Approval, ApprovalState
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code

__all__ = ["expire_approvals"]

log = structlog.get_logger()

EVERY_S = 1.0
"""A look at a thousand agents takes well under a millisecond; a wake-up at each event would cost more."""


async def expire_approvals(reach: Reach) -> None:
    """Deny every approval that is overdue, as long as the daemon runs; those of several agents at once.

    The times are in the records, so what became overdue while the daemon was away is denied at its start.
    What cannot be denied (its terminal shows something else) is left to a person and not tried again,
    except when somebody was just typing.
    """
    given_up: set[str] = set()
    working: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            working = {agent_id: task for agent_id, task in working.items() if not task.done()}
            for agent_id, approvals in _overdue(reach, given_up).items():
                if agent_id not in working:
                    working[agent_id] = group.create_task(_deny(reach, approvals, given_up))
            await asyncio.sleep(EVERY_S)


async def _deny(reach: Reach, approvals: list[Approval], given_up: set[str]) -> None:
    for approval in approvals:
        try:
            await expire(reach, approval)
        except ApiError as error:
            if error.code is not Code.BUSY:
                given_up.add(approval.id)
                log.warning(
                    "approval.not_expired",
                    approval=approval.id,
                    agent=approval.agent_id,
                    why=error.message,
                )
        except Exception:  # the edge of a loop: the others' time runs out all the same
            given_up.add(approval.id)
            log.exception("approval.not_expired", approval=approval.id, agent=approval.agent_id)


def _overdue(reach: Reach, given_up: set[str]) -> dict[str, list[Approval]]:
    """Return what is to be denied, by agent."""
    now = now_ms()
    found: dict[str, list[Approval]] = {}
    for record in reach.registry.active:
        for approval in record.agent.approvals:
            late = approval.expires_at is not None and approval.expires_at <= now
            if late and approval.state is ApprovalState.PENDING and approval.id not in given_up:
                found.setdefault(record.id, []).append(approval)
    return found
