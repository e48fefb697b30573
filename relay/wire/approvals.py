"""What agents ask permission for, and the answers: anybody with the right may give one, from anywhere."""

from __future__ import annotations

import enum
import hashlib

from relay.wire.base import Wire

__all__ = [
    "MAX_ANSWER",
    "MAX_INPUT",
    "AnswerRequest",
    "Approval",
    "ApprovalListQuery",
    "ApprovalState",
    "Verdict",
    "approval_id",
]

MAX_INPUT = 16 * 1024
"""Characters of a tool's input that are shown; the host's output holds all of it."""
MAX_ANSWER = 256 * 1024
"""Characters of a changed input; a reason has at most `MAX_INPUT`."""


class ApprovalState(enum.StrEnum):
    """`withdrawn`: the agent no longer asks, because somebody answered in its own terminal, its turn was
    interrupted, or it has ended."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Approval(Wire, frozen=True, kw_only=True):
    """One question. The host is the authority on it; all times are the host's clock.

    `input` is what the tool would get, as JSON, cut where it is long (`inputCut`). `channel` says how the
    answer reaches the CLI: `stream`, or `screen` for one that is given by a key. Nobody having answered by
    `expiresAt` (None: never) denies it. `reason` is that of the answer, `evidence` what shows that it was
    taken where the answer was a key.
    """

    id: str
    agent_id: str
    tool: str
    asked_at: int
    state: ApprovalState = ApprovalState.PENDING
    orchestrator_id: str | None = None
    label: str | None = None
    provider: str = ""
    title: str = ""
    input: str = "{}"
    input_cut: bool = False
    channel: str = "stream"
    expires_at: int | None = None
    answered_at: int | None = None
    answered_by: str | None = None
    reason: str | None = None
    evidence: str | None = None


class Verdict(enum.StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class AnswerRequest(Wire, frozen=True, kw_only=True):
    """`input` (JSON) replaces what the tool was to get, where the CLI takes that; `reason` goes to the model
    where it is handed on. `by` names a person behind the caller."""

    decision: Verdict
    reason: str | None = None
    input: str | None = None
    by: str | None = None


class ApprovalListQuery(Wire, frozen=True, kw_only=True):
    """`state`: `pending` (default), `all`, or names separated by commas. Oldest first."""

    state: str = "pending"
    agent_id: str | None = None
    orchestrator_id: str | None = None
    limit: int = 1000


def approval_id(agent_id: str, request_id: str) -> str:
    """Return the id of what an agent's CLI asks under its own `request_id`: `ap-` and 12 hex digits.

    The same request has the same id however often a host reads it.
    """
    return "ap-" + hashlib.sha256(f"{agent_id}\0{request_id}".encode()).hexdigest()[:12]
