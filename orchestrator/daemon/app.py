"""The composition root of the daemon: builds everything, hands it in, runs the loops, lets go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

import msgspec
import structlog
from filelock import FileLock, Timeout

from orchestrator import host
from orchestrator.agents.record import AgentRecord
from orchestrator.agents.registry import Registry
from orchestrator.capabilities import Capabilities
from orchestrator.commands.spawn import Spawning, Surroundings
from orchestrator.commands.stop import stop
from orchestrator.config import Config
from orchestrator.daemon.connection import Connection, find_relay
from orchestrator.daemon.describe import Describer
from orchestrator.daemon.dispatch import Dispatcher
from orchestrator.daemon.heartbeat import beat
from orchestrator.daemon.housekeep import forget, housekeep
from orchestrator.daemon.ration import ration
from orchestrator.daemon.receive import receive
from orchestrator.daemon.recover import keep_looking, recover
from orchestrator.daemon.register import stay_registered
from orchestrator.daemon.report import report
from orchestrator.daemon.supervise import Supervisor
from orchestrator.local.handlers import Handlers, Self
from orchestrator.local.server import LocalServer
from orchestrator.loginshell import LoginShell
from orchestrator.store.commands import CommandLog
from orchestrator.store.database import Database
from orchestrator.store.facts import Facts
from relay.wire.agents import ENDED, ManagedAgent, StopRequest
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home
from relay.wire.orchestrators import Action, ActionRequest
from spawners.births import Keepers
from spawners.client import KeeperSpawner
from spawners.launch import SessionRef
from spawners.providers.registry import BUILTIN
from spawners.scopes import Scopes
from spawners.watch import Watches

__all__ = ["AlreadyRunning", "Options", "run"]

log = structlog.get_logger()

LOCK_WAIT_S = 3.0
"""A daemon that has just been killed may take a moment to let go of its lock."""

STOP_ALL_S = 30.0


class AlreadyRunning(Exception):
    """Another daemon holds this state directory."""


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


async def run(options: Options) -> bool:
    """Run the daemon until it is told to end; return whether it is to be started again.

    Every agent goes on running, unless a shutdown asked for them to be stopped. Raises
    `AlreadyRunning`, and `DatabaseUnusable` or `OSError` if the state directory cannot be used.
    """
    home = options.home
    home.prepare()
    lock = FileLock(home.host_lock, mode=0o600, thread_local=False)
    try:
        await asyncio.to_thread(lock.acquire, timeout=LOCK_WAIT_S)
    except Timeout:
        record = home.read_record(home.host_record) or {}
        raise AlreadyRunning(
            f"a daemon is already running for {home.state} (pid {record.get('pid', 'unknown')})"
        ) from None
    try:
        async with _daemon(options) as ending:
            await ending.asked.wait()
        return ending.restart
    finally:
        with contextlib.suppress(OSError):
            os.unlink(home.host_record)
        lock.release()


@contextlib.asynccontextmanager
async def _daemon(options: Options) -> AsyncIterator[Ending]:
    """Everything between taking the lock and giving it back."""
    home, config, ending = options.home, options.config, Ending()
    database = Database(home.host_database)
    facts, commands = Facts(database), CommandLog(database)
    config = _with_lasting_id(config, facts)
    registry = Registry(database, config.host_id)
    keepers = Keepers(
        home.cache,
        zygote=config.keeper.zygote,
        scopes=Scopes.find(os.environ, _warn_of_keepers),
        report=_warn_of_keepers,
    )
    keepers.begin()
    spawner = KeeperSpawner(home.agents, home.sockets, home.cache, keepers=keepers)

    def clean(record: AgentRecord) -> None:
        shutil.rmtree(_plan_folder(home, record.id), ignore_errors=True)
        spawner.collected(SessionRef(record.id, record.directory))

    watches = Watches()
    supervisor = Supervisor(registry, BUILTIN, clean, watches)
    shell = LoginShell(cache_path=os.path.join(home.cache, "login-shell.json"))
    capabilities = Capabilities(BUILTIN, shell.environment, os.path.join(home.cache, "capabilities.json"))
    connection = Connection(
        config.host_id, _state_id(facts), partial(find_relay, home, config), take_over=options.take_over
    )
    surroundings = Surroundings(
        environment=shell.environment,
        executable=capabilities.executable,
        draining=lambda: facts.get("draining") == "yes",
        own=partial(_own_variables, home, connection),
        open_files=options.open_files,
    )
    spawning = Spawning(
        registry=registry,
        spawner=spawner,
        supervisor=supervisor,
        providers=BUILTIN,
        config=config,
        surroundings=surroundings,
        agents_dir=home.agents,
        plans_dir=os.path.join(home.state, "plans"),
    )
    describer = Describer(
        state_dir=home.state,
        registry=registry,
        config=config,
        connection=connection,
        capabilities=capabilities,
        shell=shell,
        draining=surroundings.draining,
        keepers=keepers,
    )

    async def forget_agent(agent_id: str) -> ManagedAgent:
        record = registry.find(agent_id)
        await forget(registry, spawner, record, partial(_plan_folder, home))
        return record.agent

    act = partial(_act, ending=ending, facts=facts)
    dispatcher = Dispatcher(
        registry=registry,
        supervisor=supervisor,
        watches=watches,
        spawning=spawning,
        commands=commands,
        connection=connection,
        forget=forget_agent,
        act=act,
    )
    itself = Self(describer.orchestrator, describer.health, act, forget_agent, config.host_id, host.version())
    server = LocalServer(home, registry, Handlers(registry, supervisor, watches, spawning, itself).table())
    loops = [
        partial(
            beat,
            connection=connection,
            load=describer.load,
            draining=surroundings.draining,
            changed_capabilities=capabilities.changed,
        ),
        partial(receive, dispatcher=dispatcher),
        partial(report, registry=registry),
    ]
    found = await recover(registry, spawner, supervisor)
    log.info("daemon.recovered", running=found.running, ended=found.ended, lost=found.lost)
    tasks = [
        asyncio.create_task(work, name=name)
        for name, work in {
            "register": stay_registered(connection, registry, describer.registration, loops),
            "housekeep": housekeep(registry, spawner, commands, config.keep, partial(_plan_folder, home)),
            "recover": keep_looking(registry, spawner, supervisor),
            "ration": ration(registry, supervisor),
            "capabilities": capabilities.keep_fresh(),
        }.items()
    ]
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, ending.asked.set)
    try:
        async with server:
            home.write_private(home.host_record, json.dumps({"pid": os.getpid(), **server.address}))
            log.info("daemon.ready", host=config.host_id, pid=os.getpid(), **server.address)
            yield ending
            if ending.stop_agents:
                await _stop_all(registry, supervisor)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await dispatcher.close()
        await supervisor.close()
        watches.close()
        await keepers.close()
        database.close()
        log.info("daemon.ended", agents_left_running=registry.active_count)


def _warn_of_keepers(problem: str) -> None:
    log.warning("keepers.degraded", problem=problem)


def _plan_folder(home: Home, agent_id: str) -> str:
    return os.path.join(home.state, "plans", agent_id)


def _with_lasting_id(config: Config, facts: Facts) -> Config:
    """Return `config` with the id this host was last given, if none is given now.

    A daemon that is started again without its options must not become another host to the relay.
    """
    host_id = config.host.id or facts.get("host_id") or config.host_id
    facts.set("host_id", host_id)
    return msgspec.structs.replace(config, host=msgspec.structs.replace(config.host, id=host_id))


def _state_id(facts: Facts) -> str:
    """Return the id of this state directory, made on first use."""
    found = facts.get("state_id")
    if found is None:
        found = uuid.uuid4().hex
        facts.set("state_id", found)
    return found


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


async def _stop_all(registry: Registry, supervisor: Supervisor) -> None:
    """Stop every agent and wait until all have ended, 30 s at most."""
    active = registry.active
    for record in active:
        await stop(registry, supervisor, record.id, StopRequest(grace_ms=5000), "muster down")
    waits = [registry.until(record.id, ENDED, STOP_ALL_S) for record in active]
    await asyncio.gather(*waits)
