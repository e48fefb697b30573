"""Real relays and daemons for tests: started as a user would, killed without asking, started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muster_processes import is_running, until

from relay.wire import endpoints
from relay.wire.agents import ENDED, ManagedAgent, SpawnRequest
from relay.wire.client import Client, Unreachable
from relay.wire.health import Scope, TokenRequest
from relay.wire.home import Home
from relay.wire.queries import AgentListQuery, AgentQuery, OutputQuery
from relay.wire.steering import StopRequest

READY_S = 60.0


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The variables of one installation: nothing of the tester's own Muster, and no slow login shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    kept.update({name: os.environ[name] for name in os.environ if name.startswith("MUSTER_TEST_")})
    return {**kept, "MUSTER_HOME": str(home), "SHELL": "/bin/sh", **extra}


class Process:
    """A Muster server under a home of its own."""

    module: str
    record: str
    """Which file of the home says that it is about to answer; looking there costs less than a call."""

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        self.directory = home
        self.options = options
        self.variables = variables
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home.parent / f"{home.name}-{self.module}.log"
        home.mkdir(parents=True, exist_ok=True)
        self.home = Home(str(home), str(home), str(home / "run"))

    def start(self, *, wait: bool = True, **variables: str) -> None:
        """Start it; return once it answers."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.options],
                env=environment(self.directory, **self.variables, **variables),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        if wait:
            self.ready()

    def ready(self) -> None:
        process = self.process
        assert process is not None

        def answers() -> bool:
            assert process.poll() is None, (
                f"{self.module} exited with {process.returncode}: {self.log.read_text()}"
            )
            return self.answers()

        until(answers, f"{self.module} to answer", READY_S)

    def answers(self) -> bool:
        record = self.home.read_record(getattr(self.home, self.record))
        if record is None or record["pid"] != self.pid:
            return False
        try:
            with self.client() as client:
                return client.call(endpoints.HEALTH, timeout_s=20).pid == self.pid
        except (Unreachable, OSError):
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def remove(self) -> None:
        """End it, whatever state the test has left it in."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def died(self, timeout_s: float = 60.0) -> int:
        """Wait until it has ended by itself and return its exit code (negative: the signal)."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def revive(self) -> None:
        """Start it again if it has been ended."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        raise NotImplementedError


class Caller:
    """The calls that most tests make."""

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        raise NotImplementedError

    def spawn(self, *argv: str, **fields: Any) -> ManagedAgent:
        with self.client() as client:
            return client.call(endpoints.SPAWN, SpawnRequest(argv=list(argv) or None, **fields)).agent

    def get(self, reference: str, wait: str | None = None, timeout_s: float = 60.0) -> ManagedAgent:
        query = AgentQuery(wait=wait, timeout_ms=int(timeout_s * 1000))
        with self.client() as client:
            path = {"id": reference}
            return client.call(endpoints.GET_AGENT, path=path, query=query, timeout_s=timeout_s + 10)

    def ended(self, reference: str, timeout_s: float = 60.0) -> ManagedAgent:
        """The agent once it has ended."""
        agent = self.get(reference, "ended", timeout_s)
        assert agent.status in ENDED, f"{reference} is still {agent.status} after {timeout_s} s"
        return agent

    def agents(self, status: str = "all") -> dict[str, ManagedAgent]:
        with self.client() as client:
            query = AgentListQuery(status=status, limit=10_000)
            return {agent.id: agent for agent in client.call(endpoints.LIST_AGENTS, query=query)}

    def stop(self, reference: str, **fields: Any) -> ManagedAgent:
        with self.client() as client:
            client.call(endpoints.STOP_AGENT, StopRequest(**fields), path={"id": reference})
        return self.ended(reference)

    def output(self, reference: str, **fields: Any) -> bytes:
        query = OutputQuery(**fields)
        with (
            self.client() as client,
            client.stream(
                endpoints.READ_OUTPUT, path={"id": reference}, query=query, read_timeout_s=60
            ) as response,
        ):
            return b"".join(response.iter_bytes())


class Host(Process, Caller):
    """A daemon and its local API."""

    module = "orchestrator"
    record = "host_record"

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(socket=self.home.daemon_socket)
        try:
            yield client
        finally:
            client.close()

    def stop_agents(self) -> None:
        """End every agent that lives."""
        for agent_id in self.agents("live"):
            self.stop(agent_id, kill=True)

    def end_agents(self) -> None:
        """Leave nothing behind, whatever state the test has left the daemon in."""
        if self.process is None:
            return
        if self.process.poll() is None and self.answers():
            with contextlib.suppress(Exception):
                self.stop_agents()
        self.remove()
        sweep(self.directory)


class RelayServer(Process, Caller):
    """A relay on a port that stays its own over restarts; `token` None: its admin token."""

    module = "relay"
    record = "relay_record"

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        super().__init__(home, "--bind", f"127.0.0.1:{self.port}", *options, **variables)
        self.token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_token(self, scope: Scope, bound_to: str | None = None) -> str:
        with self.client() as client:
            return client.call(endpoints.CREATE_TOKEN, TokenRequest(scope=scope, id=bound_to)).token

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.url, token=self.token or self.home.admin_token())
        try:
            yield client
        finally:
            client.close()

    def host(self, host_id: str) -> Any:
        with self.client() as client:
            return client.call(endpoints.GET_HOST, path={"id": host_id})

    def wait_for_host(self, host_id: str, status: str = "online", timeout_s: float = 60.0) -> None:
        def there() -> bool:
            with self.client() as client:
                hosts = client.call(endpoints.LIST_HOSTS)
            return any(host.id == host_id and host.status == status for host in hosts)

        until(there, f"host {host_id} to be {status}", timeout_s)


def sweep(home: Path) -> None:
    """End every server, keeper and agent that belongs to `home`, as a test must that killed their daemon."""
    while found := _belonging_to(home):  # what one of them has started meanwhile is in the next look
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _belonging_to(home: Path) -> list[int]:
    mark = os.fsencode(str(home))
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdigit() or int(name) == os.getpid() or not is_running(int(name)):
            continue
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes() + Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if mark in words:
            found.append(int(name))
    return found
