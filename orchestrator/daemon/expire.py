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
    """Deny every approval that is overdue, as long as the daemon runs.

    The times are in the records, so what became overdue while the daemon was away is denied at its start.
    What cannot be denied (its terminal shows something else) is left to a person and not tried again,
    except when somebody was just typing.
    """
    given_up: set[str] = set()
    while True:
        for approval in _overdue(reach, given_up):
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
        await asyncio.sleep(EVERY_S)


def _overdue(reach: Reach, given_up: set[str]) -> list[Approval]:
    now = now_ms()
    return [
        approval
        for record in reach.registry.active
        for approval in record.agent.approvals
        if approval.state is ApprovalState.PENDING
        and approval.expires_at is not None
        and approval.expires_at <= now
        and approval.id not in given_up
    ]
