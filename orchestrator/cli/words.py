"""Facts as people read them: times, sizes, and why an agent ended."""

from __future__ import annotations

import signal
import time
import unicodedata
from datetime import datetime, timedelta
from datetime import time as dtime

from relay.wire.agents import Activity, Cause, CauseKind, ManagedAgent, Presence, Status

__all__ = [
    "age",
    "because",
    "clock",
    "duration",
    "parse_duration",
    "parse_moment",
    "plain",
    "signal_name",
    "size",
    "state",
]

_SAYS_MORE = {Activity.BLOCKED: "blocked", Activity.IDLE: "idle", Activity.WAITING_INPUT: "waiting"}
"""What somebody has to do something about, instead of `running`."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def plain(text: str) -> str:
    """Return `text` without what a terminal would act on: an agent's title may come from anywhere."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char for char in text)


def parse_duration(text: str) -> float:
    """Return the seconds that `text` (`90`, `1.5`, `250ms`, `5m`, `2h`, `1d`) means.

    Raises `ValueError` for anything else, and for less than nothing.
    """
    number, unit = text.strip(), "s"
    for suffix in sorted(_UNITS, key=len, reverse=True):
        if number.endswith(suffix):
            number, unit = number[: -len(suffix)], suffix
            break
    seconds = float(number) * _UNITS[unit]
    if not 0 <= seconds < 1e12:
        raise ValueError(text)
    return seconds


def parse_moment(text: str) -> int:
    """Return the epoch milliseconds that `text` means: `5m` ago, `10:30` (the last time it was that),
    or an ISO date, with a time or without, in this machine's zone unless it names one.

    Raises `ValueError` that says so for anything else.
    """
    now = datetime.now().astimezone()
    try:
        return round((now.timestamp() - parse_duration(text)) * 1000)
    except ValueError:
        pass
    try:
        hours = dtime.fromisoformat(text) if ":" in text[:3] else None
        moment = datetime.combine(now.date(), hours) if hours else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"a moment is how long ago (5m, 2h), a time of day (10:30), or a date and time "
            f"(2026-01-31T10:30), not {text!r}"
        ) from None
    moment = moment.astimezone()
    if hours and moment > now:
        moment -= timedelta(days=1)
    return round(moment.timestamp() * 1000)


def duration(milliseconds: int) -> str:
    """Return a length of time in its two largest units: `0.4s`, `12s`, `3m05s`, `2h04m`, `5d03h`."""
    seconds = max(0, milliseconds) / 1000
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def age(since_ms: int, now_ms: int) -> str:
    """Return how long ago something was, in one unit: `4s`, `3m`, `2h`, `5d`."""
    seconds = max(0, now_ms - since_ms) // 1000
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def clock(at_ms: int) -> str:
    """Return a time in this machine's zone, to the millisecond."""
    stamp = time.localtime(at_ms / 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", stamp) + f".{at_ms % 1000:03d}"


def size(count: int) -> str:
    """Return bytes in binary units: `512 B`, `1.4 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9; a number that this machine does not know stays one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def state(agent: ManagedAgent) -> str:
    """Return the status with what matters most about it, in a word or two."""
    if agent.presence is Presence.UNKNOWN and not agent.ended:
        return f"{agent.status}?"
    if agent.status is Status.RUNNING and agent.activity in _SAYS_MORE:
        return _SAYS_MORE[agent.activity]
    cause = agent.cause
    if agent.status is Status.FAILED and cause is not None:
        if cause.kind is CauseKind.EXIT:
            return f"exit {cause.exit_code}"
        if cause.kind is CauseKind.SIGNAL and cause.signal is not None:
            return signal_name(cause.signal)
        return cause.kind.replace("_", " ")
    return str(agent.status)


def because(cause: Cause) -> str:
    """Return why, in one line."""
    text = plain(cause.message).strip() or str(cause.kind).replace("_", " ")
    if cause.by and cause.by not in text:
        text += f" (by {plain(cause.by)})"
    return text
