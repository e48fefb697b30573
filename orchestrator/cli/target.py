"""Whom a command talks to: this host's daemon or the relay; and how to find it again when it went away."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from orchestrator.cli.output import say
from orchestrator.config import Config
from orchestrator.relay_address import relay_token, relay_url
from relay.wire.client import Client, Unreachable
from relay.wire.endpoints import Endpoint
from relay.wire.home import Home

__all__ = ["Server", "answers", "connect", "daemon_answers", "daemon_client", "is_held"]

Res = TypeVar("Res")

PROBE_S = 2.0
PAUSE_S = 0.05
PAUSE_MAX_S = 1.0
STARTING_S = 5.0
"""A daemon takes well under a second from its lock to its socket, also with hundreds of agents to find."""


def daemon_answers(home: Home) -> bool:
    """Return whether a daemon accepts connections where this home's daemon says that it listens.

    Of a port that alone proves nothing: a daemon that was killed may have left it to anybody, who must not
    be told the token or believed. So its lock must be held too.
    """
    local = home.local
    return local.answers(PROBE_S) and (local.socket is not None or is_held(home.host_lock))


def answers(host: str, port: int) -> bool:
    """Return whether anything listens there."""
    try:
        socket.create_connection((host, port), timeout=PROBE_S).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Address:
    kind: Literal["daemon", "relay"]
    where: str


def is_held(path: str) -> bool:
    """Return whether a process holds this lock file."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _daemon_is_there(home: Home) -> bool:
    """Return whether the daemon answers; one that is just starting gets a moment to do so."""
    if daemon_answers(home):
        return True
    deadline = time.monotonic() + STARTING_S
    while os.path.exists(home.host_lock) and is_held(home.host_lock) and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
        if daemon_answers(home):
            return True
    return False


def _locate(home: Home, config: Config, *, relay: bool) -> _Address | None:
    if not relay and _daemon_is_there(home):
        return _Address("daemon", home.daemon_socket)
    url = relay_url(home, config)
    return _Address("relay", url) if url else None


def daemon_client(home: Home) -> Client:
    """Return a client of this home's daemon, whether it answers or not."""
    return Client(**home.local.client)


class Server:
    """An open line to the daemon or the relay. `kind` says which of them answers.

    Calls raise `ApiError` for a refusal and `Unreachable` when nobody answered; after the latter
    `come_back` waits and finds it again, starting a daemon that crashed where `may_start`.
    """

    def __init__(self, home: Home, config: Config, address: _Address, *, may_start: bool = False) -> None:
        self.home = home
        self.config = config
        self.may_start = may_start
        self._pause = PAUSE_S
        self._open(address)

    def _open(self, address: _Address) -> None:
        self._address = address
        self.kind = address.kind
        if address.kind == "daemon":
            self._local = self.home.local
            self._client = Client(**self._local.client)
        else:
            token = relay_token(self.home, self.config, address.where)
            self._client = Client(address.where, token=token)

    @property
    def name(self) -> str:
        """Who this is, for messages."""
        return "this host's daemon" if self.kind == "daemon" else f"the relay at {self._address.where}"

    @property
    def where(self) -> dict[str, Any]:
        """What `relay.wire.sockets.SocketClient` is to be told to reach the same server."""
        if self.kind == "relay":
            token = relay_token(self.home, self.config, self._address.where)
            return {"url": self._address.where, "token": token}
        return self.home.local.client

    @property
    def client(self) -> Client:
        return self._client

    def call(self, endpoint: Endpoint[Res], body: Any = None, **options: Any) -> Res:
        """Call as `Client.call`; the error of a failed connection says what to do."""
        try:
            result = self._client.call(endpoint, body, **options)
        except Unreachable as error:
            raise Unreachable(f"{error}; {self.advice}") from error
        self._pause = PAUSE_S
        return result

    @property
    def advice(self) -> str:
        if self.kind == "daemon":
            return "`muster doctor` says what is wrong with this host"
        return "is the relay running, and relay.url right (`muster config get relay.url`)?"

    def come_back(self, *, insist: bool = False) -> None:
        """Wait a little longer than the last time, and look for the server again. Never raises `Unreachable`.

        A daemon that was shut down on purpose stays so unless `insist`.
        """
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, PAUSE_MAX_S)
        if self.kind == "daemon":
            if self.may_start and (insist or self.crashed) and not daemon_answers(self.home):
                from orchestrator.cli.processes import start

                start(self.home, self.config, wait_for_relay=False)
            if self.home.local != self._local:  # a daemon that was started anew listens on another port
                self._client.close()
                self._open(self._address)
            return
        address = _locate(self.home, self.config, relay=True)
        if address and address != self._address:
            self._client.close()
            self._open(address)

    @property
    def crashed(self) -> bool:
        """Whether the daemon is gone without having removed its record, as it does when it is shut down."""
        record = self.home.read_record(self.home.host_record)
        if record is None:
            return False
        import psutil

        try:
            return "orchestrator" not in psutil.Process(int(record.get("pid", 0))).cmdline()
        except (psutil.Error, ValueError):
            return True

    def settled(self) -> None:
        """Note that the server answers again: the next outage starts with a short wait."""
        self._pause = PAUSE_S

    def twin(self) -> Server:
        """Return a second line to the same server, for another thread."""
        return Server(self.home, self.config, self._address, may_start=self.may_start)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


def connect(
    *,
    relay: bool = False,
    host: str | None = None,
    start: Callable[[Home, Config], object] | None = None,
) -> Server:
    """Return the server that a command is to talk to.

    With `relay` it is the relay; else this host's daemon if one runs, else the relay. `start` is
    called when what the command needs is not there: the relay, and this host's daemon unless the
    command is for the relay and another `host`. Raises `Unreachable` that says what to start, and
    `ConfigError`.
    """
    home = Home.from_environment()
    config = Config.load(home)
    address = _locate(home, config, relay=relay)
    here = not relay or host == config.host_id
    if start is not None and _is_missing(home, config, address, relay=relay, here=here):
        start(home, config)
        # Not looked for again: if it died meanwhile it is started once more, but the relay would take
        # the same key for another caller's and start a second agent.
        through_relay = relay or config.relay.url
        address = (
            _locate(home, config, relay=relay) if through_relay else _Address("daemon", home.daemon_socket)
        )
    if address is None:
        raise Unreachable(
            "no relay is known: `muster config set relay.url URL`, or start one here: `muster up`"
            if relay
            else "nothing is running here: `muster up`"
        )
    if not relay and address.kind == "relay" and home.read_record(home.host_record) is not None:
        say(
            "this host's daemon has crashed, so the relay answers; `muster up` starts it and finds its agents"
        )
    return Server(home, config, address, may_start=start is not None)


def _is_missing(home: Home, config: Config, address: _Address | None, *, relay: bool, here: bool) -> bool:
    if address is None:
        return True
    if address.kind == "daemon":
        return False
    if config.relay.url:  # a daemon that crashed comes first: to the relay its caller is another one
        return not relay and home.read_record(home.host_record) is not None
    if not relay:
        return True  # it did not answer a moment ago; if it does now, starting it finds that out
    parts = urlsplit(address.where)
    relay_answers = answers(parts.hostname or "", parts.port or 0)
    return not relay_answers or (here and not daemon_answers(home))
