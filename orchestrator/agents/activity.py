"""What an agent is doing, from several witnesses of unlike worth. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from relay.wire.agents import Activity

__all__ = ["SETTLED_MS", "Sighting", "Sightings", "Source"]

Source = str
RANKS: dict[Source, int] = {"hook": 0, "stream": 1, "process": 2, "screen": 3}

SETTLED_MS = 3000
"""How long a weaker witness must have contradicted a stronger one before it is believed. A CLI paints before
it calls its hooks, and the next word of its hooks ends the matter; but the end of a turn that a person
interrupts, and what is answered in a menu, is told by the screen alone."""

_ALIKE = {Activity.WAITING_INPUT: Activity.BLOCKED}
"""Both wait for a person; which of the two, the stronger witness knows better."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """`since` (epoch milliseconds) is when this witness first said so without saying anything else since,
    `at` when it said so last."""

    activity: Activity
    source: Source
    since: int
    at: int
    reason: str = ""

    def says_otherwise(self, other: Sighting) -> bool:
        """Whether this contradicts `other`; without a signal it says nothing."""
        kinds = [_ALIKE.get(activity, activity) for activity in (self.activity, other.activity)]
        return self.activity is not Activity.NO_SIGNAL and kinds[0] is not kinds[1]


class Sightings:
    """The last word of each witness; `shown` weighs them.

    A hook or a stream speaks when something happens, and its word stands until the next. A screen or a
    process is as it was last seen, so its word is taken to go on until it is seen otherwise: that is why a
    screen never outlasts a process.
    """

    def __init__(self) -> None:
        self._last: dict[Source, Sighting] = {}

    def saw(self, source: Source, activity: Activity, at_ms: int, reason: str = "") -> None:
        """Note that `source` says `activity` at `at_ms`; what is older than its last word is no news."""
        known = self._last.get(source)
        if known is not None and at_ms < known.at:
            return
        since = known.since if known is not None and known.activity is activity else at_ms
        self._last[source] = Sighting(activity, source, since, at_ms, reason)

    def forget(self, source: Source) -> None:
        """Note that `source` has nothing to say any more."""
        self._last.pop(source, None)

    def shown(self, now_ms: int) -> Sighting | None:
        """Return whom to believe at `now_ms`; None: nobody has said anything."""
        return self._weigh(now_ms)[0]

    def due_ms(self, now_ms: int) -> int | None:
        """Return when `shown` will say something else if nobody says another word; None: never."""
        return self._weigh(now_ms)[1]

    def _weigh(self, now_ms: int) -> tuple[Sighting | None, int | None]:
        best: Sighting | None = None
        due: int | None = None
        for source in sorted(self._last, key=RANKS.__getitem__):
            sighting = self._last[source]
            if best is None or best.activity is Activity.NO_SIGNAL:
                best, due = sighting, None
            elif best.source != "process" and sighting.says_otherwise(best):
                believed = max(sighting.since, best.at) + SETTLED_MS
                if believed <= now_ms:
                    best, due = sighting, None
                elif due is None or believed < due:
                    due = believed
        return best, due
