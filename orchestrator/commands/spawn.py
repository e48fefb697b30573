"""Start an agent: everything is decided and written down before anything runs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.agents.record import AgentRecord, new_agent_id
from orchestrator.agents.succession import LIMIT, following, may_follow
from orchestrator.commands.planned import hook_of, planned, session_id
from orchestrator.commands.reach import Reach
from orchestrator.commands.requested import bounded, checked, size_of, stdin_of
from orchestrator.commands.resume import check_free, resumed
from orchestrator.commands.shown import shown
from orchestrator.commands.surroundings import Surroundings
from orchestrator.config import Config
from orchestrator.policy import check_keys, check_request, confine, limits, timeout_ms
from orchestrator.store.requests import Kept, Requests
from orchestrator.windows.finding import Found
from orchestrator.windows.opening import NoWindow
from orchestrator.windows.windows import Windows
from relay.wire.agents import Mode, SpawnRequest, Status
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from spawners.errors import SpawnFailed
from spawners.failpoint import failpoint
from spawners.launch import Launch
from spawners.providers.base import ApprovalMode, Ask, Plan, Provider
from spawners.providers.environment import TERMINAL
from spawners.session import Spawner

__all__ = ["Asker", "Spawning"]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and through whom: `remote` for what came through the relay."""

    name: str
    remote: bool = False
    agent_id: str | None = None


class Spawning:
    """`spawn` is safe to repeat: an id or an idempotency key never starts a second program."""

    def __init__(
        self,
        *,
        reach: Reach,
        spawner: Spawner,
        config: Config,
        surroundings: Surroundings,
        agents_dir: str,
        requests: Requests,
        windows: Windows,
    ) -> None:
        self._registry = reach.registry
        self._supervisor = reach.supervisor
        self._providers = reach.providers
        self._observations = reach.observations
        self._spawner = spawner
        self._config = config
        self._host = surroundings
        self._agents_dir = agents_dir
        self._requests = requests
        self._windows = windows
        self._tasks: set[asyncio.Task[AgentRecord]] = set()

    async def spawn(
        self,
        request: SpawnRequest,
        asker: Asker,
        agent_id: str | None = None,
        created_at: int | None = None,
        *,
        succeeds: str | None = None,
    ) -> tuple[AgentRecord, bool]:
        """Start what `request` asks for; return its record and whether it is new.

        The record is `running`, or has ended if exec failed (cause `exec_failed`) or the program
        was very quick. In mode `terminal`, where a window may take its time, one that came through the relay,
        or that follows another, may still be `starting`. `succeeds` is the ended agent in whose place it is
        started. Raises `ApiError` for a request that cannot be carried out: then there is neither a record
        nor a process.
        """
        agent_id = agent_id or request.agent_id or new_agent_id()
        known = self._known(agent_id, request, asker)
        if known is not None:
            return await self._settled(known), False
        kept = Kept(request=request, remote=asker.remote)
        request = resumed(self._registry, request)
        await self._host.check_known(request.provider, self._providers)
        provider = checked(request, agent_id, self._providers)
        login = await self._host.environment()
        executable = await self._host.executable(provider.name)
        found = None
        if request.mode is Mode.TERMINAL:
            found = await self._windows.found(request, remote=asker.remote)
        # From here to the record nothing waits: what is checked now still holds when it is written.
        known = self._known(agent_id, request, asker)
        if known is not None:
            return await self._settled(known), False
        check_request(
            self._config.policy,
            request,
            running=self._registry.active_count,
            remote=asker.remote,
            draining=self._host.draining(),
        )
        check_keys(request, self._providers.secrets(), remote=asker.remote)
        request = bounded(self._config.policy, request, provider)
        former = self._succeeded(succeeds, agent_id)
        launch, plan = self._launch(request, agent_id, executable, login)
        token = f"msa_{secrets.token_urlsafe(32)}"
        own = {**self._host.own(), "MUSTER_AGENT_ID": agent_id, "MUSTER_AGENT_TOKEN": token}
        own["MUSTER_HOOKS"] = self._observations.hooks_file(agent_id)
        record = AgentRecord(
            agent=shown(
                request,
                launch,
                plan,
                by=asker.name,
                parent_id=asker.agent_id,
                created_at=created_at or now_ms(),
            ),
            directory=os.path.join(self._agents_dir, agent_id),
            caller=asker.name,
            token_hash=hashlib.sha256(token.encode()).hexdigest(),
            approval_timeout_ms=_approval_timeout_ms(request, self._config),
            model=request.model,
            restart_limit=request.restart_limit or LIMIT,
        )
        if former is not None:
            record = following(record, former)
        elif may_follow(request):
            self._requests.save(agent_id, kept)
        self._registry.create(record)
        failpoint("after_record_created")
        launch = dataclasses.replace(launch, env={**launch.env, **own})
        if found is None:
            with self._supervisor.starting(agent_id):
                return await self._start(launch, plan), True
        start = self._begin(self._start_in_window(launch, plan, request, found), agent_id)
        waits = not asker.remote and former is None
        return await asyncio.shield(start) if waits else self._registry.find(agent_id), True

    async def close(self) -> None:
        """Give up what still waits for a window; the next daemon settles it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _succeeded(self, succeeds: str | None, agent_id: str) -> AgentRecord | None:
        """Return the agent that is succeeded. Raises `ApiError` if that was called off meanwhile."""
        if succeeds is None:
            return None
        former = self._registry.get(succeeds)
        if former is None or former.successor is None or former.successor.agent_id != agent_id:
            raise ApiError(Code.CONFLICT, f"agent {succeeds} was stopped or forgotten: nothing follows it")
        return former

    def _known(self, agent_id: str, request: SpawnRequest, asker: Asker) -> AgentRecord | None:
        return self._registry.get(agent_id) or self._registry.by_key(asker.name, request.idempotency_key)

    async def _settled(self, record: AgentRecord) -> AgentRecord:
        """Return `record` once it has left `starting`, so that a repeat is answered like the first."""
        left = frozenset(Status) - {Status.STARTING, Status.QUEUED}
        return await self._registry.until(record.id, left, timeout_s=30.0)

    def _launch(
        self, request: SpawnRequest, agent_id: str, executable: str | None, login: Mapping[str, str]
    ) -> tuple[Launch, Plan]:
        """Decide all of what is to be started but the agent's own token. Raises `ApiError`."""
        lifetime_ms = timeout_ms(self._config.policy, request.timeout_ms)
        most = limits(self._config.policy, request)
        cwd = confine(self._config.policy, request.cwd, self._config.base_dir)
        size = size_of(request, self._config.terminal.size)
        provider = self._providers.get(request.provider)
        given = request.env if size is None else {**TERMINAL, **request.env}
        environment = self._providers.environment(provider, {**login, **self._host.keys_of(provider)}, given)
        plan = planned(provider, self._ask(request, agent_id, provider, executable, cwd, environment))
        launch = Launch(
            agent_id=agent_id,
            argv=plan.argv,
            env=plan.environment(environment),
            cwd=cwd,
            stdin=plan.stdin,
            timeout_s=lifetime_ms / 1000 if lifetime_ms is not None else None,
            leftovers=request.leftovers,
            size=size,
            sizing=request.sizing,
            memory_bytes=most.memory_bytes,
            cpus=most.cpus,
            spool_bytes=self._config.spool.bytes,
            open_files=self._host.open_files,
        )
        return launch, plan

    def _ask(
        self,
        request: SpawnRequest,
        agent_id: str,
        provider: Provider,
        executable: str | None,
        cwd: str,
        environment: Mapping[str, str],
    ) -> Ask:
        return Ask(
            mode=Mode.EMBEDDED if request.mode.on_pty else request.mode,
            cwd=cwd,
            env=environment,
            state_dir=self._observations.folder(agent_id),
            prompt=request.prompt,
            argv=tuple(request.argv) if request.argv is not None else None,
            executable=executable,
            model=request.model,
            approval_mode=ApprovalMode(request.approval),
            stdin=stdin_of(request),
            stdin_live=request.stdin_live,
            superuser=hasattr(os, "geteuid") and os.geteuid() == 0,
            session_id=session_id(provider),
            resume=check_free(self._registry, request, provider),
            conversation=request.conversation,
            asks=self._config.approvals.ask if request.ask is None else request.ask,
            trusted=self._host.trusts(cwd),
            max_turns=request.max_turns,
            max_cost_usd=request.max_cost_usd,
            hook=hook_of(request, provider),
        )

    def _begin(self, start: Coroutine[Any, Any, AgentRecord], agent_id: str) -> asyncio.Task[AgentRecord]:
        """Have `start` go on whoever waits for it; from now on nobody takes the agent for a lost one."""
        with contextlib.ExitStack() as starting:
            starting.enter_context(self._supervisor.starting(agent_id))
            task = asyncio.create_task(start, name=f"start {agent_id}")
            held = starting.pop_all()
        task.add_done_callback(lambda _: held.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start_in_window(
        self, launch: Launch, plan: Plan, request: SpawnRequest, found: Found
    ) -> AgentRecord:
        """Open the window, then start the program in its size; without a window as the fallback says."""
        agent_id, why = launch.agent_id, ""
        try:
            manner = self._windows.manner(request)
            size = await self._windows.open(self._registry.find(agent_id), found, manner)
            launch = dataclasses.replace(launch, size=size)
            shown_size = {"rows": size.rows, "columns": size.columns}
            self._registry.change(agent_id, "agent.changed", size=shown_size)
        except NoWindow as error:
            why = str(error)
        if self._registry.find(agent_id).stop is not None:
            return self._supervisor.never_ran(agent_id, SpawnFailed("it was stopped before it started"))
        if why and self._windows.fallback(request) == "error":
            return self._supervisor.never_ran(agent_id, SpawnFailed(why))
        failpoint("after_window_opened")
        return await self._start(launch, plan)

    async def _start(self, launch: Launch, plan: Plan) -> AgentRecord:
        try:
            self._write_files(launch, plan)
            self._host.settle(plan.edits)
            session = await self._spawner.spawn(launch)
        except (SpawnFailed, OSError) as error:
            failure = error if isinstance(error, SpawnFailed) else SpawnFailed(str(error), error.errno)
            return self._supervisor.never_ran(launch.agent_id, failure)
        failpoint("after_spawned")
        return self._supervisor.took(launch.agent_id, session)

    def _write_files(self, launch: Launch, plan: Plan) -> None:
        if plan.opening is not None:
            self._observations.journal(launch.agent_id).begin(plan.opening)
        if not plan.files and launch.size is None:  # in a terminal hooks may have to leave something
            return
        folder = self._observations.folder(launch.agent_id)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name, content in plan.files.items():
            descriptor = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)


def _approval_timeout_ms(request: SpawnRequest, config: Config) -> int | None:
    if request.approval_timeout_ms is not None:
        return request.approval_timeout_ms
    return config.approvals.timeout * 1000 or None
