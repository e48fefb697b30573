"""A start at the user's logon on Windows: no service, as those are in session 0, where no window can open.

Windows runs `orchestrator.services.at_logon` then, and does not look after what came of it.
"""

from __future__ import annotations

import os
import re
import subprocess

from orchestrator.services.base import Program, ServiceError, State, ask
from spawners._os import start_server

__all__ = ["beside", "command", "home_in", "install", "place", "start", "state", "uninstall"]

MODULE = "orchestrator.services.at_logon"
KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
NAME = "muster"
LONGEST = 260
"""Of a command in this key: Windows does not run a longer one."""


def command(program: Program) -> str:
    """The command line: `pythonw.exe`, as at a logon the other one would show a console."""
    home = [] if program.home is None else [program.home]
    line = subprocess.list2cmdline([beside(program.argv[0], "pythonw.exe"), "-P", "-m", MODULE, *home])
    if len(line) > LONGEST:
        raise ServiceError(
            f"Windows starts no command of more than {LONGEST} characters at logon, and this one has "
            f"{len(line)}: {line}; install Muster, or have MUSTER_HOME, where the path is shorter"
        )
    return line


def place() -> str:
    return rf"{KEY}\{NAME}"


def install(program: Program) -> None:
    _reg("add", KEY, "/v", NAME, "/t", "REG_SZ", "/d", command(program), "/f")
    start(program)


def uninstall() -> None:
    if state().installed:
        _reg("delete", KEY, "/v", NAME, "/f")


def state() -> State:
    said = ask("reg", "query", KEY, "/v", NAME)
    there = said.returncode == 0
    return State(installed=there, enabled=there, home=home_in(said.stdout))


def home_in(said: str) -> str | None:
    """As `State.home`, from what `reg` says of the command; its letters are not always ours."""
    found = re.search(rf'-m {re.escape(MODULE)}(?: "?([ -~]*?)"?)?\s*$', said)
    return found and (found[1] or "")


def _reg(*words: str) -> None:
    done = ask("reg", *words)
    if done.returncode:
        raise ServiceError(f"`reg {words[0]}` of {place()} says: {(done.stderr or done.stdout).strip()}")


def beside(python: str, name: str) -> str:
    """Another program of the same Python."""
    return os.path.join(os.path.dirname(python), name)


def start(program: Program) -> None:
    """With a console that nobody sees, as what it runs would else show one each."""
    with open(program.log, "wb") as output:
        start_server(program.argv, env=os.environ, cwd=os.path.dirname(program.log), output=output)
