"""Whether another agent is started in the place of one that has ended, when, and how. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from orchestrator.agents.record import AgentRecord, Successor, new_agent_id
from orchestrator.agents.verdict import Verdict
from relay.wire.agents import Activity, CauseKind, SpawnRequest, Status
from spawners.providers.tally import Outcome

__all__ = ["GO_ON", "LIMIT", "Ended", "Next", "follow", "following", "hold_until", "may_follow"]

GO_ON = "Continue where you stopped."
"""What a conversation is told that goes on after its agent has failed."""

LIMIT = 5
"""Restarts in a row unless the spawn says otherwise; what fails so often does not heal by itself."""

HEALTHY_MS = 600_000
"""After running this long, a failure is the first of a new row."""

FIRST_MS, LONGEST_MS = 1_000, 60_000
HOLD_FIRST_MS, HOLD_LONGEST_MS = 300_000, 3_600_000
"""For a rate limit of which nobody says when it ends: 5, 10, 20, 40, 60 minutes."""

HOLDS = 20
"""Waits in a row for a limit that never lets a single answer through: most of a day."""

HOST = "system"
"""Who stops what has run out of memory, or stays when its work is done; anybody else wants an end of it."""

SPREAD = 0.25
AFTER_RESET_MS = 5_000
"""Agents that waited for the same moment come a little apart, and never before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How `record`'s agent ended, `at` when. `can_resume`: its CLI can go on with a conversation.

    `outcome` is what the CLI itself said (None: nothing, or the host knows no more), `chance` a number
    from 0 to 1 that spreads those who wait for the same.
    """

    record: AgentRecord
    verdict: Verdict
    at: int
    outcome: Outcome | None = None
    can_resume: bool = False
    chance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What to write down with the verdict: the successor (None: there is none) and what is shown of it."""

    successor: Successor | None = None
    shown: dict[str, Any] = field(default_factory=dict)


def may_follow(request: SpawnRequest) -> bool:
    """Whether `request` may have to be carried out again."""
    return request.restart != "never" or request.on_rate_limit == "resume"


def following(record: AgentRecord, former: AgentRecord) -> AgentRecord:
    """Return the record of `former`'s successor with its place in the row."""
    successor = former.successor
    assert successor is not None
    placed = msgspec.structs.replace(record, attempt=successor.attempt, holds=successor.holds)
    return placed.showing(restarts=former.agent.restarts + 1)


def follow(ended: Ended) -> Next:
    """Return what comes after `ended`.

    Never anything after a stop, a limit or a rejection: these were somebody's will. Nor after a loss of
    which nobody knows the reason: the agent may still be found. A program that could not be executed at
    its first start was told to whoever asked, who will have to change something.
    """
    record = ended.record
    if _was_wanted(ended):
        return Next()
    if _rate_limited(ended):
        return _hold(ended)
    policy = record.agent.restart
    failed = ended.verdict.status in (Status.FAILED, Status.LOST)
    if policy == "never" or (policy == "on-failure" and not failed):
        return Next()
    lived_ms = ended.at - (record.agent.started_at or ended.at)
    attempt = 1 if lived_ms >= HEALTHY_MS else record.attempt + 1
    if attempt > record.restart_limit:
        words = f"not started again: it was, {record.restart_limit} times in a row (restartLimit)"
        return Next(shown={"attention": words})
    at = ended.at + round(pause_ms(attempt, FIRST_MS, LONGEST_MS) * (1 + SPREAD * ended.chance))
    return _next(ended, at, f"restart {attempt} of {record.restart_limit}", attempt=attempt)


def _was_wanted(ended: Ended) -> bool:
    stop, status, kind = ended.record.stop, ended.verdict.status, ended.verdict.cause.kind
    if stop is not None and (stop.by != HOST or not (stop.oom or stop.over)):
        return True
    if status in (Status.CANCELLED, Status.TIMEOUT, Status.REJECTED):
        return True
    if kind is CauseKind.EXEC_FAILED:
        return ended.record.agent.restarts == 0
    return status is Status.LOST and kind is CauseKind.UNKNOWN


def _rate_limited(ended: Ended) -> bool:
    limited = ended.outcome is not None and ended.outcome.rate_limited is not None
    failed = ended.verdict.status is Status.FAILED
    return limited and failed and ended.record.agent.on_rate_limit == "resume"


def _hold(ended: Ended) -> Next:
    outcome = ended.outcome
    assert outcome is not None
    holds = 1 if outcome.turns else ended.record.holds + 1
    if holds > HOLDS:
        return Next(shown={"attention": f"not started again: {HOLDS} waits for {outcome.rate_limited!r}"})
    at = hold_until(outcome, ended.at, holds, ended.chance)
    return _next(
        ended, at, f"rate limited: {outcome.rate_limited}", attempt=ended.record.attempt, holds=holds
    )


def hold_until(outcome: Outcome, now: int, holds: int, chance: float) -> int:
    """Return when to try again after the rate limit that `outcome` tells of, the `holds`-th in a row."""
    if outcome.rate_limited_until_ms > now:
        return outcome.rate_limited_until_ms + round(AFTER_RESET_MS * chance)
    return now + round(pause_ms(holds, HOLD_FIRST_MS, HOLD_LONGEST_MS) * (1 + SPREAD * chance))


def pause_ms(attempt: int, first_ms: int, longest_ms: int) -> int:
    """Return how long to wait before attempt 1, 2, 3…: twice as long each time, up to `longest_ms`."""
    return min(longest_ms, first_ms << min(attempt - 1, 30))


def _next(ended: Ended, at: int, why: str, *, attempt: int, holds: int = 0) -> Next:
    successor = Successor(
        agent_id=new_agent_id(),
        at=at,
        attempt=attempt,
        holds=holds,
        resumes=_resumes(ended),
        idle=ended.record.agent.activity is Activity.IDLE and not _rate_limited(ended),
    )
    when = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    reason = f"{successor.agent_id} is started in its place at {when} ({why})"
    return Next(successor=successor, shown={"reason": reason, "restart_at": at})


def _resumes(ended: Ended) -> bool:
    """Whether there is a conversation to go on with; one that was never answered is begun anew."""
    agent, outcome = ended.record.agent, ended.outcome
    session_id = (outcome.session_id if outcome else None) or agent.provider_session_id
    answered = bool(outcome.turns if outcome else agent.turns) or agent.resumed_from is not None
    unfinished = ended.verdict.status is not Status.SUCCEEDED
    return ended.can_resume and session_id is not None and answered and unfinished
