"""What of a run is worth somebody's attention, and that it is over when it is over."""

from __future__ import annotations

import pytest

from orchestrator.agents.stuck import Concerns, Thresholds
from spawners.providers import events
from spawners.providers.events import Event

CALL = events.ToolStarted("1", "Bash", '{"command":"make"}')
OTHER = events.ToolStarted("2", "Bash", '{"command":"make test"}')
RESULT = events.ToolFinished("1")
RETRY = events.Retrying("overloaded", None, 10)
LIMIT = events.RateLimited("usage limit reached", 1_800_000_000_000)
DONE = events.TurnEnded(status="completed", text="done")
FAILED = events.TurnEnded(status="failed", error="API Error: 500\n")
NEXT = events.TurnStarted()
SAID = events.Said("well")

FULL = "its context is 93% full (186,000 of 200,000 tokens)"
SAME = 'has called Bash 5 times in a row with the same arguments: {"command":"make"}'
UNTIL = "rate limited until 2027-01-15 08:00 UTC: usage limit reached"

CASES: dict[str, tuple[list[Event], str | None]] = {
    "nothing": ([NEXT, SAID, CALL, RESULT, DONE], None),
    "four equal calls are no loop": ([CALL, RESULT] * 4, None),
    "five are": ([CALL, RESULT] * 5, SAME),
    "other arguments are another call": ([CALL, RESULT] * 4 + [OTHER, CALL], None),
    "and end the loop": ([CALL] * 5 + [OTHER], None),
    "as does the end of the turn": ([CALL] * 5 + [DONE], None),
    "loops of two turns do not add up": ([CALL] * 4 + [DONE, NEXT, CALL], None),
    "two retries are usual": ([RETRY] * 2, None),
    "three are not": (
        [RETRY] * 3,
        "the model's provider fails again and again (attempt 3 of 10): overloaded",
    ),
    "the CLI's own count is better": (
        [events.Retrying("overloaded", 7)],
        "the model's provider fails again and again (attempt 7): overloaded",
    ),
    "an answer ends the retries": ([RETRY] * 3 + [SAID], None),
    "and their count": ([RETRY, RETRY, SAID, RETRY], None),
    "a rate limit": ([LIMIT], UNTIL),
    "of which nobody knows the end": ([events.RateLimited("slow down")], "rate limited: slow down"),
    "which is over when there is an answer": ([LIMIT, SAID], None),
    "a rate limit until nonsense": (
        [events.RateLimited("x", 10**30)],
        "rate limited until a time that is none: x",
    ),
    "a full context": ([events.ContextUsed(186_000, 200_000)], FULL),
    "which has been said before": (
        [events.ContextUsed(10, 200_000), events.ContextUsed(186_000)],
        FULL,
    ),
    "a compacted context": ([events.ContextUsed(186_000, 200_000), events.ContextUsed(9_000)], None),
    "a context of unknown size": ([events.ContextUsed(186_000)], None),
    "a question": ([events.QuestionAsked("Which\n one?")], "asks: Which one?"),
    "an answered question": ([events.QuestionAsked("Which one?"), CALL], None),
    "a failed turn": ([NEXT, FAILED], "its turn failed: API Error: 500"),
    "until the next": ([FAILED, NEXT], None),
    "one that failed at a rate limit": ([NEXT, LIMIT, FAILED], UNTIL),
    "until it goes on": ([NEXT, LIMIT, FAILED, NEXT], None),
    "or the turn was called off": ([NEXT, LIMIT, events.TurnEnded(status="interrupted")], None),
    "the urgent does not hide the rest": (
        [events.ContextUsed(186_000, 200_000), *[CALL] * 5, LIMIT],
        f"{UNTIL}; {SAME}; {FULL}",
    ),
    "and the late does not hide the urgent": (
        [LIMIT, events.ContextUsed(186_000, 200_000)],
        f"{UNTIL}; {FULL}",
    ),
}


@pytest.mark.parametrize(("said", "expected"), CASES.values(), ids=CASES.keys())
def test_what_is_worth_attention(said: list[Event], expected: str | None) -> None:
    concerns = Concerns()
    for event in said:
        concerns.take(event)

    assert concerns.words([], silent_since_ms=None) == expected


def test_an_approval_that_waits_comes_first_and_once() -> None:
    concerns = Concerns()
    concerns.note("screen", "asks for an approval")
    concerns.take(LIMIT)

    assert (
        concerns.words(["Bash touch x"], silent_since_ms=None) == f"asks for approval: Bash touch x; {UNTIL}"
    )


def test_an_agent_that_cannot_be_stopped_is_what_matters_most() -> None:
    concerns = Concerns()
    concerns.note("process", "its process is stopped")
    concerns.note("unstoppable", "could not be stopped")

    assert concerns.words([], silent_since_ms=None) == "could not be stopped; its process is stopped"
    concerns.note("process", "")
    assert concerns.words([], silent_since_ms=None) == "could not be stopped"


def test_silence_is_named_with_its_beginning_and_the_thresholds_can_be_others() -> None:
    concerns = Concerns(Thresholds(same_calls=2, silent_ms=1000))
    concerns.take(CALL)
    concerns.take(CALL)

    assert concerns.silent_at_ms(1_800_000_000_000) == 1_800_000_001_000
    words = concerns.words([], silent_since_ms=1_800_000_000_000)
    assert words is not None
    assert words.startswith("has called Bash 2 times")
    assert words.endswith("; no sign of progress since 2027-01-15 08:00 UTC")


def test_what_is_quoted_stays_short() -> None:
    concerns = Concerns(Thresholds(same_calls=1))
    concerns.take(events.ToolStarted("1", "Write", '{"content":"' + "x" * 100_000 + '"}'))

    words = concerns.words([], silent_since_ms=None)
    assert words is not None and len(words) < 300
