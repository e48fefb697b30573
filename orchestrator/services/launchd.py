"""A LaunchAgent of macOS: it runs in the user's own session, where windows can open.

AbandonProcessGroup leaves alone what the service leaves behind: agents outlive their daemon.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import re
import time
from xml.parsers.expat import ExpatError

from orchestrator.services.base import Program, ServiceError, State, ask, check_own, refresh
from relay.wire.private import read_text

__all__ = ["LABEL", "home", "install", "place", "plist", "state", "uninstall"]

LABEL = "musterd"
FILES = 10240
"""As many as macOS allows a program (OPEN_MAX); without a word launchd gives 256."""
ENDED_S = 60.0
"""`bootout` returns before the service has ended, and until then it cannot be loaded again."""
LOOK_S = 0.1
HELP = {
    5: "the file was not accepted, or it is switched off in System Settings > General > Login Items",
    125: "there is no session at the screen of this Mac: log in there, not over ssh",
}
"""What `launchctl bootstrap` means by its exit codes."""


def plist(program: Program) -> str:
    """The text of the property list."""
    keys: dict[str, object] = {
        "Label": LABEL,
        "ProgramArguments": list(program.argv),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ProcessType": "Interactive",
        "AbandonProcessGroup": True,
        "SoftResourceLimits": {"NumberOfFiles": FILES},
        "StandardOutPath": program.log,
        "StandardErrorPath": program.log,
    }
    if program.home is not None:
        keys["EnvironmentVariables"] = {"MUSTER_HOME": program.home}
    return plistlib.dumps(keys, sort_keys=False).decode()


def place() -> str:
    return os.path.expanduser(f"~/Library/LaunchAgents/{LABEL}.plist")


def home() -> str | None:
    """As `State.home`."""
    try:
        keys = plistlib.loads(read_text(place()).encode())
    except (OSError, ValueError, ExpatError):
        return None
    return str(keys.get("EnvironmentVariables", {}).get("MUSTER_HOME", ""))


def install(program: Program) -> None:
    check_own(place())
    changed = refresh(place(), plist(program))
    ask("launchctl", "enable", _target())
    if state().running and not changed:
        return
    _unload()
    done = ask("launchctl", "bootstrap", _domain(), place())
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        hint = HELP.get(done.returncode, f"`launchctl print {_target()}` may say more")
        raise ServiceError(f"launchd does not take {place()} ({said}): {hint}")


def uninstall() -> None:
    check_own(place())
    _unload()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place())


def state() -> State:
    said = ask("launchctl", "print", _target())
    disabled = ask("launchctl", "print-disabled", _domain()).stdout
    off = re.search(rf'"{LABEL}" => (disabled|true)\b', disabled)
    pid = re.search(r"^\s*pid = (\d+)$", said.stdout, re.MULTILINE)
    installed = os.path.exists(place())
    return State(
        installed=installed,
        enabled=installed and off is None,
        running=pid is not None,
        pid=int(pid[1]) if pid else None,
        home=home(),
    )


def _unload() -> None:
    """Return when launchd does not have it any more."""
    deadline = time.monotonic() + ENDED_S
    ask("launchctl", "bootout", _target())
    while ask("launchctl", "print", _target()).returncode == 0:
        if time.monotonic() > deadline:
            raise ServiceError(f"launchd has not ended {LABEL} within {ENDED_S:g} s; try it again")
        time.sleep(LOOK_S)


def _domain() -> str:
    return f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"


def _target() -> str:
    return f"{_domain()}/{LABEL}"
