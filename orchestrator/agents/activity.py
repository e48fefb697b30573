"""What an agent is doing, from several witnesses of unlike worth. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from relay.wire.agents import Activity

__all__ = ["Sighting", "Sightings", "Source"]

Source = str
RANKS: dict[Source, int] = {"hook": 0, "stream": 1, "process": 2, "screen": 3}

SETTLED_MS = 3000
"""How long weaker and newer evidence must have stood before it is believed against a stronger witness: a
CLI paints before it calls its hooks, and a turn that a person interrupts is told by the screen alone."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """`since` (epoch milliseconds) is when this witness first said so without saying anything else since."""

    activity: Activity
    source: Source
    since: int
    reason: str = ""


class Sightings:
    """The last word of each witness; `shown` weighs them."""

    def __init__(self) -> None:
        self._last: dict[Source, Sighting] = {}

    def saw(self, source: Source, activity: Activity, at_ms: int, reason: str = "") -> None:
        """Note that `source` says `activity` at `at_ms`."""
        known = self._last.get(source)
        since = known.since if known is not None and known.activity is activity else at_ms
        self._last[source] = Sighting(activity, source, since, reason)

    def shown(self, now_ms: int) -> Sighting | None:
        """Return whom to believe at `now_ms`; None: nobody has said anything."""
        best: Sighting | None = None
        for source in sorted(self._last, key=RANKS.__getitem__):
            sighting = self._last[source]
            if best is None or best.activity is Activity.NO_SIGNAL:
                best = sighting
            elif sighting.activity is not Activity.NO_SIGNAL and sighting.since > best.since:
                best = sighting if now_ms - sighting.since >= SETTLED_MS else best
        return best
