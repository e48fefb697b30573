"""Whom of several witnesses to believe, as a table of what they said and when."""

from __future__ import annotations

import pytest

from orchestrator.agents.activity import SETTLED_MS, Sightings
from relay.wire.agents import Activity

BUSY, IDLE, WAITING = Activity.BUSY, Activity.IDLE, Activity.WAITING_INPUT
BLOCKED, NOTHING = Activity.BLOCKED, Activity.NO_SIGNAL
S = SETTLED_MS

Word = tuple[int, str, Activity]
CASES: dict[str, tuple[list[Word], int, tuple[Activity, str, int]]] = {
    "one witness is believed at once": ([(5, "screen", IDLE)], 5, (IDLE, "screen", 5)),
    "the stronger one wins": ([(5, "screen", IDLE), (6, "hook", BUSY)], 7, (BUSY, "hook", 6)),
    "whatever the order": ([(5, "hook", BUSY), (6, "screen", IDLE)], 7, (BUSY, "hook", 5)),
    "a screen is painted before the hook is called": (
        [(0, "hook", BUSY), (100, "screen", IDLE), (500, "hook", IDLE)],
        600,
        (IDLE, "hook", 500),
    ),
    "a person interrupts, and no hook tells": (
        [(0, "hook", BUSY), (100, "screen", BUSY), (9000, "screen", IDLE)],
        9000 + S,
        (IDLE, "screen", 9000),
    ),
    "but not before it has settled": (
        [(0, "hook", BUSY), (9000, "screen", IDLE)],
        9000 + S - 1,
        (BUSY, "hook", 0),
    ),
    "interrupted before the screen was ever seen busy": (
        [(0, "screen", IDLE), (9000, "hook", BUSY)],
        9000 + S,
        (IDLE, "screen", 0),
    ),
    "a hook that speaks again is believed again": (
        [(0, "hook", BUSY), (100, "screen", IDLE), (S, "hook", BUSY)],
        S + 200,
        (BUSY, "hook", 0),
    ),
    "an approval that is answered in the terminal": (
        [(0, "hook", BUSY), (50, "hook", BLOCKED), (60, "screen", BLOCKED), (7000, "screen", BUSY)],
        7000 + S,
        (BUSY, "screen", 7000),
    ),
    "a new turn after an interrupted one": (
        [(0, "hook", BUSY), (100, "screen", IDLE), (9000, "hook", BUSY), (9100, "screen", BUSY)],
        9000 + 2 * S,
        (BUSY, "hook", 0),
    ),
    "a dialog after the turn's end": (
        [(0, "hook", IDLE), (100, "screen", BLOCKED)],
        100 + S,
        (BLOCKED, "screen", 100),
    ),
    "two words for one thing": (
        [(0, "hook", WAITING), (100, "screen", BLOCKED)],
        100 + 2 * S,
        (WAITING, "hook", 0),
    ),
    "an unknown screen says nothing": (
        [(0, "hook", BUSY), (100, "screen", NOTHING)],
        100 + 2 * S,
        (BUSY, "hook", 0),
    ),
    "and is shown where nobody knows better": ([(0, "screen", NOTHING)], 1, (NOTHING, "screen", 0)),
    "a process that is stopped does nothing": (
        [(0, "hook", BUSY), (100, "screen", BUSY), (200, "process", BLOCKED)],
        200 + S,
        (BLOCKED, "process", 200),
    ),
    "a contradiction begins anew after another word": (
        [(0, "hook", BUSY), (0, "screen", IDLE), (100, "screen", BUSY), (200, "screen", IDLE)],
        100 + S,
        (BUSY, "hook", 0),
    ),
    "news that come late are none": (
        [(500, "hook", IDLE), (100, "hook", BUSY)],
        600,
        (IDLE, "hook", 500),
    ),
}


@pytest.mark.parametrize(("said", "now", "expected"), CASES.values(), ids=CASES.keys())
def test_whom_to_believe(said: list[Word], now: int, expected: tuple[Activity, str, int]) -> None:
    sightings = Sightings()
    for at, source, activity in said:
        sightings.saw(source, activity, at)

    shown = sightings.shown(now)

    assert shown is not None
    assert (shown.activity, shown.source, shown.since) == expected


def test_nobody_has_said_anything() -> None:
    assert (Sightings().shown(0), Sightings().due_ms(0)) == (None, None)


def test_a_witness_that_has_gone_counts_no_more() -> None:
    sightings = Sightings()
    sightings.saw("process", BLOCKED, 0)
    sightings.saw("screen", BUSY, 1)

    sightings.forget("process")

    shown = sightings.shown(S * 2)
    assert shown is not None and shown.activity is BUSY


@pytest.mark.parametrize(("said", "now", "expected"), CASES.values(), ids=CASES.keys())
def test_it_is_known_beforehand_when_silence_will_decide(
    said: list[Word], now: int, expected: tuple[Activity, str, int]
) -> None:
    sightings = Sightings()
    for at, source, activity in said:
        sightings.saw(source, activity, at)
    at = max(at for at, *_ in said)

    seen = [sightings.shown(at)]
    while (due := sightings.due_ms(at)) is not None:
        assert due > at
        assert sightings.shown(due - 1) == seen[-1]
        at = due
        seen.append(sightings.shown(at))

    assert seen[-1] == sightings.shown(at + 100 * S)
