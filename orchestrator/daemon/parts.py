"""What a daemon is made of: every part built, and handed what it needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from orchestrator import host
from orchestrator.adapters import find_providers
from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.agents.stuck import Thresholds
from orchestrator.capabilities import Capabilities
from orchestrator.commands.reach import Reach
from orchestrator.commands.spawn import Spawning
from orchestrator.commands.surroundings import Surroundings
from orchestrator.config import Config
from orchestrator.daemon.connection import Connection, find_relay
from orchestrator.daemon.describe import Describer, Inspected
from orchestrator.daemon.dispatch import Dispatcher
from orchestrator.daemon.expire import expire_approvals
from orchestrator.daemon.heartbeat import beat
from orchestrator.daemon.holds import go_on_after_limits
from orchestrator.daemon.housekeep import forget, housekeep
from orchestrator.daemon.idle import end_idle, see_halted
from orchestrator.daemon.lasting import state_id, with_lasting_id
from orchestrator.daemon.limits import Limits
from orchestrator.daemon.observations import Observations
from orchestrator.daemon.ration import ration
from orchestrator.daemon.receive import receive
from orchestrator.daemon.recover import Recovered, keep_looking, recover
from orchestrator.daemon.register import stay_registered
from orchestrator.daemon.report import report
from orchestrator.daemon.restart import Restarts
from orchestrator.daemon.supervise import Supervisor
from orchestrator.edits import make_edits
from orchestrator.local.handlers import Handlers, Self
from orchestrator.local.server import LocalServer
from orchestrator.loginshell import LoginShell
from orchestrator.secrets import Secrets
from orchestrator.store.commands import CommandLog
from orchestrator.store.database import Database
from orchestrator.store.facts import Facts
from orchestrator.store.requests import Requests
from orchestrator.trust import Trust
from orchestrator.windows.windows import Windows
from relay.wire.agents import ManagedAgent
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home
from relay.wire.orchestrators import Action, ActionRequest
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.launch import SessionRef
from spawners.scopes import Scopes
from spawners.watch import Watches

__all__ = ["Ending", "Options", "Parts"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """What one run of the daemon is told; `open_files` is the limit that agents start with."""

    home: Home
    config: Config
    take_over: bool = False
    open_files: int | None = None


@dataclass(slots=True)
class Ending:
    """How this run is to end; `restart` runs the program anew in the same process."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    restart: bool = False
    stop_agents: bool = False


class Parts:
    """The composition root. `recover` and `loops` are for after it is made, `close` lets go of all of it."""

    def __init__(self, options: Options, ending: Ending) -> None:
        home = options.home
        self._home = home
        self._database = Database(home.host_database)
        facts = Facts(self._database)
        self.config = with_lasting_id(options.config, facts)
        self.registry = Registry(self._database, self.config.host_id)
        self._limits = Limits(self.registry)
        self._providers = find_providers(home.config)
        self._scopes = Scopes.find(os.environ, _warn_of_keepers)
        self._keepers = Keepers(
            home.cache, zygote=self.config.keeper.zygote, scopes=self._scopes, report=_warn_of_keepers
        )
        self._keepers.begin()
        self._spawner = KeeperSpawner(home.agents, home.sockets, home.cache, keepers=self._keepers)
        self._shell = LoginShell(self._providers, os.path.join(home.cache, "login-shell.json"))
        self._secrets = Secrets(home.secrets_file)
        self._capabilities = Capabilities(
            self._providers,
            self._shell.environment,
            os.path.join(home.cache, "capabilities.json"),
            self._secrets,
        )
        self._connection = Connection(
            self.config.host_id,
            state_id(facts),
            partial(find_relay, home, self.config),
            take_over=options.take_over,
        )
        self._surroundings = self._surrounds(options, facts)
        self._requests = Requests(os.path.join(home.state, "requests"))
        self._restarts = Restarts(self.registry, self._providers, self._requests)
        self.reach = self._reach()
        self._windows = self._opens()
        self._spawning = self._spawns()
        self._describer = self._describes()
        act = partial(_act, ending=ending, facts=facts)
        self._commands = CommandLog(self._database)
        self._dispatcher = self._dispatches(act)
        self.server = self._serves(act)

    def _surrounds(self, options: Options, facts: Facts) -> Surroundings:
        home = options.home
        return Surroundings(
            environment=self._shell.environment,
            executable=self._capabilities.executable,
            draining=lambda: facts.get("draining") == "yes",
            own=partial(_own_variables, home, self._connection),
            open_files=options.open_files,
            keys=self._secrets.of,
            trusts=Trust(home, self.config.policy.trust).holds,
            settle=partial(make_edits, locks=os.path.join(home.cache, "edits")),
        )

    def _reach(self) -> Reach:
        watches = Watches()
        plans = os.path.join(self._home.state, "plans")
        thresholds = Thresholds(
            same_calls=self.config.attention.same_calls, silent_ms=self.config.attention.silent * 1000
        )
        observations = Observations(self.registry, self._providers, plans, self._limits, watches, thresholds)
        supervisor = Supervisor(self.registry, self._clean, watches, observations, self._restarts.succession)
        self._limits.stop_with(supervisor.stop)
        policy = self.config.policy
        return Reach(self.registry, supervisor, watches, observations, self._providers, policy)

    def _opens(self) -> Windows:
        return Windows(
            home=self._home,
            registry=self.registry,
            settings=self.config.terminal,
            environment=self._shell.environment,
            stop=self.reach.supervisor.stop,
            scopes=self._scopes,
        )

    def _spawns(self) -> Spawning:
        return Spawning(
            reach=self.reach,
            spawner=self._spawner,
            config=self.config,
            surroundings=self._surroundings,
            agents_dir=self._home.agents,
            requests=self._requests,
            windows=self._windows,
        )

    def _describes(self) -> Describer:
        return Describer(
            inspected=Inspected(self._home.state, self._shell, self._keepers),
            registry=self.registry,
            config=self.config,
            connection=self._connection,
            capabilities=self._capabilities,
            finder=self._windows.finder,
            draining=self._surroundings.draining,
        )

    def _dispatches(self, act: Callable[[ActionRequest, str], None]) -> Dispatcher:
        return Dispatcher(
            reach=self.reach,
            spawning=self._spawning,
            windows=self._windows,
            commands=self._commands,
            connection=self._connection,
            forget=self._forget,
            act=act,
        )

    def _serves(self, act: Callable[[ActionRequest, str], None]) -> LocalServer:
        itself = Self(
            self._describer.orchestrator,
            self._describer.health,
            act,
            self._forget,
            self.config.host_id,
            host.version(),
        )
        handlers = Handlers(self.reach, self._spawning, self._windows, itself)
        return LocalServer(self._home, self.registry, handlers.table())

    def _clean(self, record: AgentRecord) -> None:
        self.reach.observations.clean(record.id)
        self._restarts.ended(record)
        self._spawner.collected(SessionRef(record.id, record.directory))

    async def _forget(self, agent_id: str) -> ManagedAgent:
        record = self.registry.find(agent_id)
        await forget(self.registry, self._spawner, record, self.reach.observations.folder)
        self._requests.delete(agent_id)
        return record.agent

    async def recover(self) -> Recovered:
        """Find every agent that an earlier daemon has left."""
        self._windows.recover()
        return await recover(self.registry, self._spawner, self.reach.supervisor)

    def loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what runs as long as the daemon does, by name."""
        registry, supervisor, connection = self.registry, self.reach.supervisor, self._connection
        linked = [
            partial(beat, connection=connection, describe=self._describer.heartbeat),
            partial(receive, dispatcher=self._dispatcher),
            partial(report, registry=registry),
        ]
        folder = self.reach.observations.folder
        return {
            "register": stay_registered(connection, registry, self._describer.registration, linked),
            "housekeep": housekeep(registry, self._spawner, self._commands, self.config.keep, folder),
            "recover": keep_looking(registry, self._spawner, supervisor),
            "ration": ration(registry, supervisor),
            "idle": end_idle(registry, self.reach.observations, self._limits),
            "halted": see_halted(registry, self.reach.observations),
            "restart": self._restarts.run(self._spawning),
            "hold": go_on_after_limits(registry, self.reach.observations),
            "expire": expire_approvals(self.reach),
            "capabilities": self._capabilities.keep_fresh(),
            "windows": self._windows.watching.run(),
        }

    async def close(self) -> None:
        """Let go of everything; agents go on running."""
        await self._dispatcher.close()
        await self._spawning.close()
        await self.reach.supervisor.close()
        await self.reach.observations.close()
        self.reach.watches.close()
        await self._keepers.close()
        self._database.close()


def _warn_of_keepers(problem: str) -> None:
    log.warning("keepers.degraded", problem=problem)


def _own_variables(home: Home, connection: Connection) -> dict[str, str]:
    """Return what tells an agent where it may report to."""
    own = {"MUSTER_SOCKET": home.daemon_socket}
    if connection.url:
        own["MUSTER_RELAY_URL"] = connection.url
    return own


def _act(request: ActionRequest, by: str, *, ending: Ending, facts: Facts) -> None:
    """Carry out an action on this daemon. Raises `ApiError` `invalid` for one it does not know."""
    log.info("daemon.action", action=request.action, by=by)
    if request.action in (Action.DRAIN, Action.UNDRAIN):
        facts.set("draining", "yes" if request.action is Action.DRAIN else "no")
    elif request.action in (Action.SHUTDOWN, Action.RESTART):
        ending.restart = request.action is Action.RESTART
        ending.stop_agents = request.stop_agents
        # The answer to whoever asked goes out first.
        asyncio.get_running_loop().call_later(0.1, ending.asked.set)
    else:
        raise ApiError(Code.INVALID, f"the action {request.action} is not supported by this version")
