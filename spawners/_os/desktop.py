# ruff: noqa: E402
import sys

assert sys.platform == "linux"

"""The graphical session of this user, as one finds it who was not started in it."""

import asyncio
import glob
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from spawners._os.displays import X11_SOCKETS, NoDisplay, greet_wayland, greet_x11, is_remote
from spawners._os.systemd import manager_socket
from spawners.terminals.base import Desktop, Display

__all__ = ["find_desktop"]

ASK_S = 2.0
"""systemctl and loginctl answer within twenty milliseconds."""
OF_A_SESSION = (
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("XDG_CURRENT_DESKTOP", "XDG_SESSION_DESKTOP", "XDG_SESSION_TYPE", "XDG_SESSION_ID", "XDG_SEAT"),
    *("DESKTOP_SESSION", "SWAYSOCK", "HYPRLAND_INSTANCE_SIGNATURE", "I3SOCK", "XDG_CONFIG_DIRS"),
    *("XDG_DATA_DIRS", "XCURSOR_THEME", "XCURSOR_SIZE", "QT_QPA_PLATFORMTHEME", "GTK_THEME", "XMODIFIERS"),
)
"""What a desktop's session sets, and its programs read."""
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Files that Docker and Podman put into their containers."""
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


@dataclass(frozen=True, slots=True)
class _Guess:
    """A session that may be there: `variables` take the place of ours."""

    source: str
    variables: Mapping[str, str]


async def find_desktop(environ: Mapping[str, str]) -> Desktop:
    """Look at our own environment, the user's systemd, logind and the sockets, in this order.

    A display counts once it has accepted a connection; one that does not is left out of the environment.
    """
    refused = _not_ours(environ)
    if refused:
        return Desktop(environ, None, problem=refused)
    problems: list[str] = []
    for look in _places(environ):
        for guess in await look(environ):
            found = await _verified(guess, environ, problems)
            if found is not None:
                return found
    problems += filter(None, [_why_unseen(environ)])
    return Desktop(environ, None, problem="; ".join(dict.fromkeys(problems)) or _NONE)


_NONE = (
    "no graphical session of this user was found: log in to a desktop, or start muster inside of one "
    "(DISPLAY or WAYLAND_DISPLAY set), or use a terminal that needs none (tmux)"
)


def _places(environ: Mapping[str, str]) -> tuple[Callable[[Mapping[str, str]], Awaitable[list[_Guess]]], ...]:
    """Where to look. A socket that is root's is mostly that of another's session, and one in a container of
    the machine around it."""
    if environ.get("SSH_CONNECTION"):
        return (_own,)
    if os.getuid() == 0 or _in_container(environ):
        return (_own, _of_systemd, _of_logind)
    return (_own, _of_systemd, _of_logind, _of_sockets)


def _in_container(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("container")) or any(map(os.path.exists, CONTAINER_MARKS))


def _not_ours(environ: Mapping[str, str]) -> str:
    """Why a process like this may open no windows at all; empty: it may."""
    for name in ("SUDO_UID", "PKEXEC_UID"):
        uid = environ.get(name, "")
        if os.getuid() == 0 and uid not in ("", "0"):
            who = environ.get("SUDO_USER") or f"user {uid}"
            return (
                f"muster runs as root for {who} ({name}), its windows would be root's on another's desktop: "
                f"run it as {who}, without sudo"
            )
    return ""


def _why_unseen(environ: Mapping[str, str]) -> str:
    """Why not everywhere was looked, with what to do; empty: it was."""
    if environ.get("SSH_CONNECTION"):
        return (
            "muster was started over ssh (SSH_CONNECTION), and nobody may sit at the screen of this machine: "
            "use a terminal that needs no display (tmux), or start muster on the desktop or as a service"
        )
    if _in_container(environ):
        return (
            "muster runs in a container: give it a display (DISPLAY and /tmp/.X11-unix, or "
            "WAYLAND_DISPLAY and its socket), or use a terminal that needs none (tmux)"
        )
    if os.getuid() == 0:
        return (
            "muster runs as root, who has no desktop here: run it as the user whose desktop it is, "
            "set DISPLAY, or use a terminal that needs none (tmux)"
        )
    return ""


async def _verified(guess: _Guess, environ: Mapping[str, str], problems: list[str]) -> Desktop | None:
    """The session of `guess` with the displays of it that answer; None, and why, if there is none."""
    env = {name: value for name, value in environ.items() if name not in _DISPLAYS} | dict(guess.variables)
    env.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    bus = os.path.join(env["XDG_RUNTIME_DIR"], "bus")
    if os.path.exists(bus):
        env.setdefault("DBUS_SESSION_BUS_ADDRESS", f"unix:path={bus}")
    answers = set()
    for name, display, greet in (
        ("DISPLAY", Display.X11, _x11),
        ("WAYLAND_DISPLAY", Display.WAYLAND, greet_wayland),
    ):
        if not env.get(name):
            env.pop(name, None)
            continue
        try:
            await greet(env[name], env)
            answers.add(display)
        except NoDisplay as problem:
            problems.append(f"{problem} ({guess.source})")
            del env[name]
    if not answers:
        return None
    kind = Display.EITHER if len(answers) > 1 else answers.pop()
    return Desktop(env, kind, source=guess.source)


async def _x11(text: str, env: dict[str, str]) -> None:
    """With the file of cookies that lets us in, which is left in `env`: who made it put it anywhere."""
    if is_remote(text) and env.get("SSH_CONNECTION"):
        raise NoDisplay(
            f"DISPLAY={text} is forwarded by ssh and goes away with that connection: "
            "use a terminal that needs no display (tmux)"
        )
    try:
        return await greet_x11(text, env)
    except NoDisplay as first:
        for file in _cookie_files(env):
            try:
                await greet_x11(text, {**env, "XAUTHORITY": file})
            except NoDisplay:
                continue
            env["XAUTHORITY"] = file
            return None
        raise first from None


def _cookie_files(env: Mapping[str, str]) -> Iterator[str]:
    """Where display managers and compositors put them, when not into the home: newest first."""
    runtime = env["XDG_RUNTIME_DIR"]
    patterns = (".mutter-Xwaylandauth.*", "gdm/Xauthority", "xauth_*", "Xauthority", "lightdm/xauthority")
    found = [path for pattern in patterns for path in glob.glob(os.path.join(runtime, pattern))]
    home = os.path.join(env.get("HOME") or os.path.expanduser("~"), ".Xauthority")
    yield from sorted(filter(_is_ours, [*found, home]), key=_made_at, reverse=True)


def _is_ours(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.getuid()
    except OSError:
        return False


def _made_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:  # gone meanwhile
        return 0.0


async def _own(environ: Mapping[str, str]) -> list[_Guess]:
    own = {name: environ[name] for name in OF_A_SESSION if environ.get(name)}
    return [_Guess("muster's own environment", own)] if any(name in own for name in _DISPLAYS) else []


async def _of_systemd(environ: Mapping[str, str]) -> list[_Guess]:
    """What the session has told the user's systemd: a service that runs on sees none of it by itself."""
    if manager_socket(environ) is None:
        return []
    told = dict(_assignments(await _ask(environ, "systemctl", "--user", "show-environment")))
    return (
        [_Guess("systemctl --user show-environment", told)] if any(name in told for name in _DISPLAYS) else []
    )


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Lines `NAME=value`, quoted for a shell where need be: `$'…'` is how systemd does that."""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or name not in OF_A_SESSION:
            continue
        if value.startswith("$'") and value.endswith("'"):
            value = value[2:-1].encode("latin-1", "backslashreplace").decode("unicode_escape", "replace")
        elif value[:1] in "'\"":
            value = "".join(shlex.split(value))
        if value:
            yield name, value


async def _of_logind(environ: Mapping[str, str]) -> list[_Guess]:
    """The X display of each active graphical session of this user on this machine."""
    guesses = []
    try:
        sessions = json.loads(await _ask(environ, "loginctl", "list-sessions", "--output=json") or "[]")
        mine = [str(one["session"]) for one in sessions if one["uid"] == os.getuid()]
    except (ValueError, LookupError, TypeError):
        return []
    for session in mine:
        wanted = (word for name in ("Type", "State", "Display", "Remote", "Class") for word in ("-p", name))
        said = await _ask(environ, "loginctl", "show-session", session, *wanted)
        facts = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        is_seen = facts.get("Remote") == "no" and facts.get("State") in ("active", "online")
        if not is_seen or facts.get("Class", "user") != "user":
            continue
        if facts.get("Type") == "wayland":
            guesses += _wayland_sockets(environ, f"wayland session {session} of loginctl")
        if facts.get("Display"):
            guesses.append(_Guess(f"session {session} of loginctl", {"DISPLAY": facts["Display"]}))
    return guesses


async def _of_sockets(environ: Mapping[str, str]) -> list[_Guess]:
    """Sockets of this user's own compositors and X servers; never those of another."""
    servers = sorted(filter(_is_ours, glob.glob(f"{X11_SOCKETS}/X*")))
    displays = [f":{name}" for path in servers if (name := os.path.basename(path)[1:]).isdecimal()]
    x11 = [_Guess(f"{X11_SOCKETS}/X{display[1:]}", {"DISPLAY": display}) for display in displays]
    both = [
        _Guess(guess.source, {**guess.variables, **({"DISPLAY": displays[0]} if len(displays) == 1 else {})})
        for guess in _wayland_sockets(environ, "")
    ]
    return both + x11


def _wayland_sockets(environ: Mapping[str, str], source: str) -> list[_Guess]:
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    found = sorted(filter(_is_ours, glob.glob(os.path.join(runtime, "wayland-*[0-9]"))))
    return [_Guess(source or path, {"WAYLAND_DISPLAY": os.path.basename(path)}) for path in found]


async def _ask(environ: Mapping[str, str], *argv: str) -> str:
    """What the program prints; empty if it is not there, fails or hangs."""
    program = shutil.which(argv[0], path=environ.get("PATH"))
    if program is None:
        return ""
    try:
        done = await asyncio.to_thread(
            subprocess.run, [program, *argv[1:]], env={**environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
