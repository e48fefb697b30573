"""AppleScript, for what nothing else can do on macOS: a tab beside others, a window brought to the front.

Each program that sends such events to another needs a permission, which macOS asks the user for once. So no
window depends on it. A script is fixed text: what it is about comes as arguments.
"""

from __future__ import annotations

import re

from spawners.terminals.base import Opener

__all__ = ["EVENT_S", "explained", "osascript"]

EVENT_S = 10
"""One that hangs, or a question for a permission that nobody answers, would block for two minutes."""

_NUMBER = re.compile(r"\((-\d+)\)\s*$")
_PERMISSION = (
    "macOS does not let muster control {app}: allow it in System Settings > Privacy & Security > Automation, "
    "below the program that muster runs in (Terminal, python3, …). If nothing is listed there, macOS asks "
    "again after `tccutil reset AppleEvents`; it cannot ask over ssh"
)
_ADVICE = {
    -1743: _PERMISSION,
    -1744: _PERMISSION,
    -600: "{app} is not running",
    -609: "{app} has just been closed",
    -1712: "{app} has not answered: it hangs, or a question of macOS for a permission waits on the screen",
    -1728: "the window is not there any more",
    -1719: "the window is not there any more",
    -1708: "this {app} does not know what it was told: a newer version does",
    -2740: "this {app} does not know what it was told: a newer version does",
    -2741: "this {app} does not know what it was told: a newer version does",
    -10000: "{app} refuses that; a window without a tab opens without it",
    -10004: _PERMISSION,
    -10810: "{app} cannot be started from here: nobody is logged in at the screen, or somebody else is",
}
"""The error numbers of Apple events (MacErrors.h, AppleScript Language Guide), and what can be done."""


def osascript(script: str, *arguments: str) -> Opener:
    """Run the handler `run argv` of `script` with these arguments. The script is read from stdin."""
    return Opener(("osascript", "-", *arguments), script.format(seconds=EVENT_S).encode())


def explained(said: str, app: str) -> str:
    """What osascript has complained of, with what to do about it where that is known."""
    found = _NUMBER.search(said.strip())
    advice = _ADVICE.get(int(found.group(1))) if found else None
    return f"{advice.format(app=app)} ({said.strip()})" if advice else said
