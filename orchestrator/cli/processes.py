"""Starts the embedded relay and this host's daemon as two processes that outlive whoever started them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from orchestrator.cli.failures import CliError
from orchestrator.cli.output import say
from orchestrator.cli.target import answers, daemon_answers
from orchestrator.config import Config
from relay.wire.ending import end
from relay.wire.home import Home
from spawners._os import start_server

__all__ = [
    "DEFAULT_PORT",
    "READY_S",
    "Child",
    "Started",
    "clean_environment",
    "launch",
    "relay_answers",
    "start",
    "tail",
]

DEFAULT_PORT = 4850
READY_S = 30.0
"""A cold start takes about a second; a busy small machine has been seen to need ten."""
MOMENT_S = 0.5
"""What a relay that nobody needs yet is waited for: enough to see that its port was taken."""
LOOK_S = 0.01

MARKS = (
    "MUSTER_AGENT_",
    "TMUX",
    "STY",
    "WINDOW",
    "KITTY_",
    "WEZTERM_",
    "ITERM_",
    "ALACRITTY_",
    "GHOSTTY_",
    "VTE_",
    "KONSOLE_",
    "GNOME_TERMINAL_",
    "TERM_PROGRAM",
    "WT_",
    "TERM_SESSION_ID",
    "COLUMNS",
    "LINES",
    "_MUSTER_COMPLETE",
)
"""How variables begin that tell of one terminal or one agent: a daemon belongs to neither."""


@dataclass(slots=True)
class Child:
    """One of the two processes. `name` is `relay` or `orchestrator`."""

    name: str
    process: subprocess.Popen[bytes]
    log: str


@dataclass(slots=True)
class Started:
    """What `start` did: the children it made (none if all were there) and where the relay listens."""

    children: list[Child] = field(default_factory=list)
    relay_url: str | None = None
    port_was_taken: bool = False


def start(home: Home, config: Config, *, port: int | None = None, wait_for_relay: bool = True) -> Started:
    """Start whichever of the two is not running, and return once they answer.

    A configured `relay.url` means that no relay is started here. Any number of callers may do this
    at once: one starts them, the others find them. Raises `CliError` with the end of the log if one
    does not come up, after ending what had been started.
    """
    _prepare(home)
    with _one_at_a_time(home):
        started = Started(relay_url=config.relay.url or relay_answers(home))
        try:
            if started.relay_url is None:
                chosen, started.port_was_taken = _choose_port(port)
                started.children.append(launch(home, "relay", ["--bind", f"127.0.0.1:{chosen}"]))
            elif port is not None and not config.relay.url:
                _same_port(started.relay_url, port)
            if not daemon_answers(home):
                started.children.append(launch(home, "orchestrator", []))
            _await(home, started, wait_for_relay=wait_for_relay, any_port=port is None)
        except BaseException:
            _end(started.children)
            raise
    for child in started.children:
        threading.Thread(target=child.process.wait, daemon=True).start()  # or it stays a zombie while we run
    return started


def start_daemon(home: Home) -> None:
    """Start this home's daemon alone, and return once it answers. Raises `CliError`."""
    _prepare(home)
    with _one_at_a_time(home):
        started = Started()
        if not daemon_answers(home):
            started.children.append(launch(home, "orchestrator", []))
        try:
            _await(home, started, wait_for_relay=False, any_port=False)
        except BaseException:
            _end(started.children)
            raise
    for child in started.children:
        threading.Thread(target=child.process.wait, daemon=True).start()


def launch(home: Home, name: str, options: list[str]) -> Child:
    """Start `python -m name` on its own: no terminal, no folder, no descriptor of the caller is held."""
    log = os.path.join(home.logs, f"{name}.out")
    with open(log, "wb") as output:
        process = start_server(
            [sys.executable, "-m", name, *options],
            env=clean_environment(home, os.environ),
            cwd=home.state,
            output=output,
        )
    return Child(name, process, log)


def clean_environment(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without the marks of a terminal or an agent, and with `MUSTER_HOME` absolute."""
    kept = {name: value for name, value in environ.items() if not name.startswith(MARKS)}
    if kept.get("MUSTER_HOME"):
        kept["MUSTER_HOME"] = home.state
    return kept


def relay_answers(home: Home) -> str | None:
    """Return the URL of the embedded relay if something listens there."""
    record = home.read_record(home.relay_record)
    url = record.get("url") if record else None
    if not isinstance(url, str):
        return None
    parts = urlsplit(url)
    return url if answers(parts.hostname or "127.0.0.1", parts.port or 80) else None


def tail(path: str, lines: int = 8) -> str:
    """Return the last lines of a log, or nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


def _prepare(home: Home) -> None:
    try:
        home.prepare()
        os.makedirs(home.logs, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CliError(
            f"cannot use {home.state} for Muster's state: {error.strerror}; "
            "make it writable, or set MUSTER_HOME to another folder"
        ) from None


@contextmanager
def _one_at_a_time(home: Home) -> Iterator[None]:
    lock = FileLock(os.path.join(home.state, "up.lock"), timeout=2 * READY_S)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        raise CliError(
            "another `muster up` has been starting for a minute; look at `muster doctor`"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _choose_port(wanted: int | None) -> tuple[int, bool]:
    """Return a port to listen on (0: any), and whether the default one was taken."""
    if wanted is None:
        free = _is_free(DEFAULT_PORT)
        return (DEFAULT_PORT if free else 0), not free
    if not _is_free(wanted):
        raise CliError(f"port {wanted} is in use or not allowed; choose another with --port, or leave it out")
    return wanted, False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def _same_port(url: str, port: int) -> None:
    if urlsplit(url).port != port:
        raise CliError(f"a relay already runs here, at {url}; `muster down` first to move it to port {port}")


def _await(home: Home, started: Started, *, wait_for_relay: bool, any_port: bool) -> None:
    """Return when all children answer; without `wait_for_relay` it has a moment after the daemon at most."""
    waiting = {child.name: child for child in started.children}
    deadline = time.monotonic() + READY_S
    while True:
        if "orchestrator" in waiting and daemon_answers(home):
            del waiting["orchestrator"]
            deadline = deadline if wait_for_relay else time.monotonic() + MOMENT_S
        if "relay" in waiting and (url := _own_relay(home, waiting["relay"])):
            started.relay_url = url
            del waiting["relay"]
        for child in list(waiting.values()):
            if child.process.poll() is None:
                continue
            if child.name == "relay" and any_port and not _is_free(DEFAULT_PORT):
                any_port = False  # somebody took the default in the same instant
                waiting["relay"] = _replace(home, started, child)
                continue
            failure = _failure(child, f"the {child.name} ended with {child.process.returncode}")
            if child.name == "orchestrator" or wait_for_relay:
                raise failure
            say(f"{failure}; going on without the relay")
            del waiting[child.name]
        if not waiting:
            return
        if time.monotonic() > deadline:
            if not wait_for_relay and "orchestrator" not in waiting:
                return
            late = next(iter(waiting.values()))
            raise _failure(late, f"the {late.name} did not answer within {READY_S:.0f} s")
        time.sleep(LOOK_S)


def _replace(home: Home, started: Started, child: Child) -> Child:
    """Start the relay once more, on any free port."""
    started.children.remove(child)
    started.children.append(launch(home, "relay", ["--bind", "127.0.0.1:0"]))
    started.port_was_taken = True
    return started.children[-1]


def _own_relay(home: Home, child: Child) -> str | None:
    record = home.read_record(home.relay_record)
    return relay_answers(home) if record and record.get("pid") == child.process.pid else None


def _failure(child: Child, what: str) -> CliError:
    said = tail(child.log)
    return CliError(f"{what}\n{said}" if said else f"{what} and said nothing; its log is {child.log}")


def _end(children: list[Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            end(child.process)
    for child in children:
        try:
            child.process.wait(5.0)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
