"""A unit of the user's systemd.

KillMode is mixed: at its end the service ends what it has started by itself, and what then still is in its
cgroup is killed. Agents are in scopes of their own (`spawners.scopes`), where no end of the service reaches.
"""

from __future__ import annotations

import os
import re

from orchestrator.services.base import Program, ServiceError, State, ask, check_own, refresh
from relay.wire.private import read_text

__all__ = ["UNIT", "home", "install", "place", "state", "uninstall", "unit"]

UNIT = "muster.service"
TEMPLATE = """\
# Written by `muster service install`; what you want otherwise goes into `systemctl --user edit muster`.
[Unit]
Description=Muster: the daemon of this host, and its relay
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=:{command}
{environment}KillMode=mixed
Restart=on-failure
RestartSec=2

[Install]
WantedBy=default.target
"""
"""`:` is for a path with a `$` in it: systemd puts variables into the first word, but knows no `$$` there."""


def unit(program: Program) -> str:
    """The text of the unit. Raises `ServiceError` where systemd would refuse it."""
    if re.search(r"[\\'\"\x00-\x1f]", program.argv[0]):
        raise ServiceError(
            f"systemd starts no program with a quote or a backslash in its path: {program.argv[0]}; "
            "install Muster in another folder"
        )
    home = "" if program.home is None else f"Environment={_quoted(f'MUSTER_HOME={program.home}')}\n"
    return TEMPLATE.format(command=" ".join(map(_quoted, program.argv)), environment=home)


def _quoted(word: str) -> str:
    """`word` as one of systemd's: it reads escapes as C does, and then `%` as the start of a specifier."""
    escaped = re.sub(r'[\\"]', r"\\\g<0>", word.replace("%", "%%"))
    escaped = re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)
    return escaped if re.fullmatch(r"[\w./:=@%+-]+", escaped) else f'"{escaped}"'


def place() -> str:
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(config, "systemd", "user", UNIT)


def home() -> str | None:
    """As `State.home`."""
    try:
        found = re.search(r'^Environment="?MUSTER_HOME=(.*?)"?$', read_text(place()), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return re.sub(r"\\x(..)|\\(.)|%%", _meant, found[1]) if found else ""


def _meant(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 16)) if escaped[1] else escaped[2] or "%"


def install(program: Program) -> None:
    check_own(place())
    changed = refresh(place(), unit(program))
    _systemctl("daemon-reload")
    ask("systemctl", "--user", "reset-failed", UNIT)  # else one that has failed too often is not started
    _systemctl("enable", UNIT)
    _systemctl("restart" if changed else "start", UNIT)


def uninstall() -> None:
    check_own(place())
    now = state()
    if now.installed:
        _systemctl("disable", "--now", UNIT)
        os.unlink(place())
        _systemctl("daemon-reload")
    elif now.running:
        _systemctl("stop", UNIT)


def state() -> State:
    done = ask("systemctl", "--user", "show", UNIT, "--property=UnitFileState,ActiveState,MainPID")
    if done.returncode:
        raise ServiceError(
            f"no systemd answers for this user ({done.stderr.strip()}): log in as this user directly, not by "
            "su or sudo; where there is none, as in a container, have `muster up` started by what is there"
        )
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    pid = int(told.get("MainPID") or 0)
    return State(
        installed=os.path.exists(place()),
        enabled=told.get("UnitFileState") == "enabled",
        running=told.get("ActiveState") in ("active", "activating", "reloading"),
        pid=pid or None,
        home=home(),
    )


def _systemctl(*words: str) -> None:
    done = ask("systemctl", "--user", *words)
    if done.returncode:
        raise ServiceError(
            f"`systemctl --user {' '.join(words)}` says: {done.stderr.strip() or done.returncode}; "
            f"`journalctl --user -u {UNIT}` may say why"
        )
