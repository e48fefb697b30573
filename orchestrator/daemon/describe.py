"""What the daemon says about its host: registration, its own entry, its health."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator import host
from orchestrator.agents.registry import Registry
from orchestrator.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.daemon.connection import Connection
from orchestrator.loginshell import LoginShell
from orchestrator.windows.finding import Finder, Installed
from relay.wire.agents import Presence
from relay.wire.base import now_ms
from relay.wire.health import Health, HealthCheck
from relay.wire.orchestrators import (
    Fence,
    Heartbeat,
    HostStatus,
    Orchestrator,
    Registration,
    RosterEntry,
)
from spawners._os import boot_id, unit_of
from spawners.births import Keepers

__all__ = ["Describer", "Inspected"]

LOW_DISK_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Inspected:
    """What health looks at, beside the connection."""

    state_dir: str
    shell: LoginShell
    keepers: Keepers


class Describer:
    """Puts together what others are told; every value is read when it is asked for."""

    def __init__(
        self,
        *,
        inspected: Inspected,
        registry: Registry,
        config: Config,
        connection: Connection,
        capabilities: Capabilities,
        finder: Finder,
        draining: Callable[[], bool],
    ) -> None:
        self._inspected = inspected
        self._registry = registry
        self._config = config
        self._connection = connection
        self._capabilities = capabilities
        self._finder = finder
        self._draining = draining
        self._told_windows: Installed | None = None

    def heartbeat(self, fence: Fence, rtt_ms: int) -> Heartbeat:
        """Return what the relay is told of this moment, and what else it has not been told yet."""
        agents = [record.id for record in self._registry.active]
        terminals, desktop = self._news_of_windows()
        return Heartbeat(
            instance_id=fence.instance_id,
            epoch=fence.epoch,
            sent_at=now_ms(),
            rtt_ms=rtt_ms,
            load=host.load(len(agents)),
            agents=agents,
            draining=self._draining(),
            capabilities=self._capabilities.changed(),
            terminals=terminals,
            desktop=desktop,
        )

    def _news_of_windows(self) -> Installed | tuple[None, None]:
        seen = self._finder.last_seen
        if seen is None or seen == self._told_windows:
            return None, None
        self._told_windows = seen
        return seen

    async def registration(self) -> Registration:
        """Return what the relay is told at each registration."""
        registration = await self._registration()
        self._told_windows = (registration.terminals, registration.desktop)
        return registration

    async def _registration(self) -> Registration:
        connection, config = self._connection, self._config
        terminals, desktop = await self._finder.installed()
        return Registration(
            id=connection.host_id,
            hostname=host.hostname(),
            instance_id=connection.instance_id,
            state_id=connection.state_id,
            take_over=connection.take_over,
            os=host.operating_system(),
            arch=host.architecture(),
            version=host.version(),
            boot_id=boot_id(),
            capabilities=await self._capabilities.list(),
            terminals=terminals,
            desktop=desktop,
            labels=config.host.labels,
            base_dir=config.base_dir,
            env_keys=sorted(config.policy.env_allow),
            max_agents=config.policy.max_agents,
            load=host.load(self._registry.active_count),
            meta={"draining": self._draining()},
            sent_at=now_ms(),
        )

    async def orchestrator(self) -> Orchestrator:
        """Return this host as the relay would show it."""
        registration = await self._registration()
        roster = [
            RosterEntry(
                id=record.id,
                status=record.agent.status,
                provider=record.agent.provider,
                label=record.agent.label,
                presence=Presence.LIVE,
            )
            for record in self._registry.active
        ]
        return Orchestrator(
            id=registration.id,
            hostname=registration.hostname,
            status=HostStatus.DRAINING if self._draining() else HostStatus.ONLINE,
            agent_id=f"orchestrator-{registration.id}",
            providers=[found.name for found in registration.capabilities if found.installed],
            base_dir=registration.base_dir,
            env_keys=registration.env_keys,
            managed_agents=roster,
            last_seen=now_ms(),
            instance_id=registration.instance_id,
            os=registration.os,
            arch=registration.arch,
            version=registration.version,
            capabilities=registration.capabilities,
            terminals=registration.terminals,
            desktop=registration.desktop,
            labels=registration.labels,
            max_agents=registration.max_agents,
            load=registration.load,
            clock_skew_ms=self._connection.skew_ms,
        )

    async def health(self) -> Health:
        """Return the checks of this daemon; the worst of them is its status."""
        checks = [self._relay_check(), self._disk_check(), self._outbox_check(), await self._login_check()]
        checks += [self._keepers_check(), self._providers_check()]
        ranks = ("ok", "warn", "fail")
        worst = max((ranks.index(check.status) for check in checks), default=0)
        return Health(
            status=ranks[worst],
            role="orchestrator",
            version=host.version(),
            generated_at=now_ms(),
            checks=checks,
            id=self._connection.host_id,
            pid=os.getpid(),
            relay_url=self._connection.url,
        )

    def _relay_check(self) -> HealthCheck:
        connection = self._connection
        if connection.problem is None:
            skew = f", clock {connection.skew_ms:+d} ms" if abs(connection.skew_ms) > 1000 else ""
            return HealthCheck(name="relay", status="ok", detail=f"registered at {connection.url}{skew}")
        return HealthCheck(name="relay", status="warn", detail=connection.problem)

    def _keepers_check(self) -> HealthCheck:
        keepers = self._inspected.keepers
        unit = unit_of("self")
        if unit.endswith(".service") and not keepers.is_sheltered:
            problem = f"a restart of {unit} ends all agents: run it where `systemctl --user` works"
            return HealthCheck(name="keepers", status="warn", detail="; ".join([problem, *keepers.problems]))
        if keepers.problems:
            return HealthCheck(name="keepers", status="warn", detail="; ".join(keepers.problems))
        return HealthCheck(name="keepers", status="ok", detail=keepers.state)

    def _providers_check(self) -> HealthCheck:
        problems = self._capabilities.problems
        if problems:
            return HealthCheck(name="providers", status="warn", detail="; ".join(problems))
        return HealthCheck(name="providers", status="ok", detail=f"{self._capabilities.count} are known")

    def _disk_check(self) -> HealthCheck:
        free = shutil.disk_usage(self._inspected.state_dir).free
        status = "ok" if free > LOW_DISK_BYTES else "warn"
        return HealthCheck(name="disk", status=status, detail=f"{free // 1_000_000} MB free for state")

    def _outbox_check(self) -> HealthCheck:
        waiting = len(self._registry.outbox)
        return HealthCheck(name="outbox", status="ok", detail=f"{waiting} report(s) wait for the relay")

    async def _login_check(self) -> HealthCheck:
        login = await self._inspected.shell.login()
        status = "ok" if login.error is None else "warn"
        detail = f"agents get the environment of: {login.source}"
        return HealthCheck(name="login-shell", status=status, detail=login.error or detail)
