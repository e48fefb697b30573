"""What happens in a run of a CLI, in words that all providers share. Frozen values; nothing here is a guess.

They come from the CLI's own stream or from its hooks. What is on a screen is a judgement (`manifest.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ApprovalAsked",
    "ApprovalSettled",
    "Changed",
    "ContextUsed",
    "Event",
    "Problem",
    "QuestionAsked",
    "RateLimited",
    "Retrying",
    "Said",
    "SessionStarted",
    "ToolFinished",
    "ToolStarted",
    "TurnEnded",
    "TurnStarted",
    "Usage",
    "Used",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a run so far. `input_tokens` includes `cached_input_tokens`; None: the CLI does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The CLI is up and ready for work; `session_id` is its own name for the conversation."""

    session_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The CLI has taken a message and works on it."""


@dataclass(frozen=True, slots=True)
class Said:
    """Text of the assistant: a whole message, or with `piece` what continues the one before."""

    text: str
    piece: bool = False


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """`arguments` is JSON with sorted keys, so that equal calls have equal text."""

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class ToolFinished:
    id: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The CLI waits for a decision. `id` is its own for the request, `input` what the tool would get, as
    JSON, and `title` one line for people."""

    id: str
    tool: str
    input: str = "{}"
    title: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalSettled:
    """The CLI no longer waits for this decision, whoever made it.

    `note` is what was written down with an answer that `Conversation.decide` gave; empty for any other.
    """

    id: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The CLI asks the person something that is no approval, and waits."""

    text: str


@dataclass(frozen=True, slots=True)
class Used:
    """Totals of the whole run so far, not of one turn; `cost_usd` as the CLI reckons it."""

    usage: Usage
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ContextUsed:
    """Tokens of the conversation as the model last saw it, and how many fit."""

    used: int
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Retrying:
    """The model's provider failed and the CLI tries again by itself: attempt `attempt` of `of`."""

    message: str
    attempt: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Nothing goes on before `resets_at_ms` (epoch; None: the CLI does not say when)."""

    message: str
    resets_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something went wrong. It counts as the run's error unless the turn completes all the same."""

    message: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The CLI confirms another model or approval mode (by our names); None: as before."""

    model: str | None = None
    approval_mode: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """A turn is over: `completed`, `failed` (with `error`) or `interrupted`.

    `text` is the answer where the CLI repeats it whole, else what was said stands. `turns` is how many
    times the model has answered in the whole run, where the CLI counts that.
    """

    status: str
    text: str | None = None
    error: str | None = None
    turns: int | None = None


Event = (
    SessionStarted
    | TurnStarted
    | Said
    | ToolStarted
    | ToolFinished
    | ApprovalAsked
    | ApprovalSettled
    | QuestionAsked
    | Used
    | ContextUsed
    | Retrying
    | RateLimited
    | Problem
    | Changed
    | TurnEnded
)
