"""`muster up`: the embedded relay and this host's daemon with one command."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orchestrator.cli.output import say
from orchestrator.cli.processes import DEFAULT_PORT, Child, Started, launch, start, tail
from orchestrator.cli.target import connect, daemon_answers
from orchestrator.config import Config
from relay.wire.agents import ManagedAgent
from relay.wire.client import Unreachable
from relay.wire.ending import end
from relay.wire.endpoints import LIST_AGENTS
from relay.wire.errors import ApiError
from relay.wire.home import Home
from relay.wire.queries import AgentListQuery
from spawners._os import on_told_to_end

__all__ = ["command", "live_agents"]

BACKOFF_S = 0.5
BACKOFF_MAX_S = 30.0
STABLE_S = 60.0
"""A child that lived this long did not crash because of how it was started: its next restart is quick."""
END_S = 15.0


def command(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once both answer.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help=f"The relay's port. Default: {DEFAULT_PORT}, or a free one."),
    ] = None,
) -> None:
    """Start the relay and this host's daemon, whichever is not running.

    With relay.url configured only the daemon. Without --detach it stays, starts again what
    crashes, and ^C ends both; agents keep running either way.
    """
    home = Home.from_environment()
    config = Config.load(home)
    supervisor = None if detach else _Supervisor(home)
    started = start(home, config, port=port)
    _say_where(started, config)
    if supervisor is not None and started.children:
        supervisor.watch(started)


def _say_where(started: Started, config: Config) -> None:
    port = urlsplit(started.relay_url or "").port
    if started.port_was_taken:
        say(f"port {DEFAULT_PORT} is taken, so the relay listens on {port}")
    names = {child.name for child in started.children}
    if not names:
        print(f"already running: host {config.host_id}, relay {started.relay_url}")
        return
    print(f"{'running' if 'orchestrator' in names else 'already running'}: host {config.host_id}")
    what = "configured" if config.relay.url else "running" if "relay" in names else "already running"
    print(f"{what}: relay {started.relay_url}", flush=True)


def live_agents() -> list[ManagedAgent]:
    """Return the agents of this host that have not ended, none if its daemon does not answer."""
    try:
        with connect() as server:
            if server.kind == "daemon":
                return server.call(LIST_AGENTS, query=AgentListQuery(status="live"), timeout_s=5.0)
    except (Unreachable, ApiError):
        pass
    return []


class _Supervisor:
    """Keeps the children of a foreground `up` running until it is told to end."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._exits: SimpleQueue[Child | None] = SimpleQueue()
        self._children: dict[str, Child] = {}
        self._started_at: dict[str, float] = {}
        self._backoff: dict[str, float] = {}
        self._options: dict[str, list[str]] = {"orchestrator": []}
        self._ending = False
        on_told_to_end(self._on_signal)

    def _on_signal(self, number: int) -> None:
        self._ending = True
        self._exits.put(None)

    def watch(self, started: Started) -> None:
        """Return when both have ended on purpose or a signal has come."""
        port = urlsplit(started.relay_url or "").port
        self._options["relay"] = ["--bind", f"127.0.0.1:{port}"]
        for child in started.children:
            self._add(child)
        while self._children and not self._ending:
            ended = self._exits.get()
            if ended is not None and not self._ending:
                self._settle(ended)
        self._end()

    def _add(self, child: Child) -> None:
        self._children[child.name] = child
        self._started_at[child.name] = time.monotonic()
        threading.Thread(target=self._await_exit, args=(child,), daemon=True).start()

    def _await_exit(self, child: Child) -> None:
        child.process.wait()
        self._exits.put(child)

    def _settle(self, child: Child) -> None:
        """Forget a child that was ended on purpose; start a crashed one again, later each time."""
        name, code = child.name, child.process.returncode
        del self._children[name]
        if code in (0, -signal.SIGTERM):
            print(f"the {name} was shut down", flush=True)
            return
        if time.monotonic() - self._started_at[name] > STABLE_S:
            self._backoff.pop(name, None)
        wait = self._backoff.get(name, BACKOFF_S)
        self._backoff[name] = min(wait * 2, BACKOFF_MAX_S)
        last = tail(child.log, lines=1)
        say(f"the {name} ended with {code}{f' ({last})' if last else ''}; starting it again in {wait:g} s")
        deferred = self._pause(wait)
        if not self._ending and not (name == "orchestrator" and daemon_answers(self._home)):
            self._add(launch(self._home, name, self._options[name]))
        for other in deferred:
            self._settle(other)

    def _pause(self, seconds: float) -> list[Child]:
        """Wait, unless a signal comes; return the children that ended meanwhile."""
        ended: list[Child] = []
        deadline = time.monotonic() + seconds
        while not self._ending and (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                child = self._exits.get(timeout=left)
                if child is not None:
                    ended.append(child)
        return ended

    def _end(self) -> None:
        running = live_agents() if "orchestrator" in self._children else []
        for child in self._children.values():
            end(child.process)
        for child in self._children.values():
            try:
                child.process.wait(END_S)
            except subprocess.TimeoutExpired:
                say(f"the {child.name} does not end; killing it (agents are not touched)")
                child.process.kill()
        if running:
            print(f"{len(running)} agent(s) keep running: {', '.join(agent.id for agent in running[:5])}")
