"""The local API's handlers: each hands on to the command or record that knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.agents.record import AgentRecord
from orchestrator.commands import asked
from orchestrator.commands.answer import answer
from orchestrator.commands.attach import attach, serve
from orchestrator.commands.change import change
from orchestrator.commands.input import send_input, send_signal
from orchestrator.commands.interrupt import interrupt
from orchestrator.commands.open import open_window
from orchestrator.commands.output import frames
from orchestrator.commands.reach import Reach
from orchestrator.commands.resize import resize
from orchestrator.commands.screen import screen
from orchestrator.commands.send import send_message
from orchestrator.commands.spawn import Asker, Spawning
from orchestrator.commands.stop import stop
from orchestrator.windows.windows import Windows
from relay.wire import endpoints
from relay.wire.agents import ENDED, ManagedAgent, Presence, SpawnResponse, Status
from relay.wire.approvals import Approval
from relay.wire.commands import CommandResult
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.health import Health
from relay.wire.openapi import document
from relay.wire.orchestrators import ActionRequest, Orchestrator
from relay.wire.output import MEDIA_TYPE, Frame, Kind, encode_frame
from relay.wire.serving import Call, ServerEvent, Streamed, events
from relay.wire.steering import InputResult
from relay.wire.terminal import OpenResult, ScreenResult, SendResult
from relay.wire.windows import WindowAnswer

__all__ = ["Handlers", "Self"]

MAX_WAIT_MS = 300_000
WAITS: Mapping[str | None, Callable[[ManagedAgent], bool]] = {
    None: lambda agent: True,
    "running": lambda agent: agent.status not in (Status.QUEUED, Status.STARTING),
    "ready": lambda agent: agent.ready_at is not None or agent.ended,
    "ended": lambda agent: agent.ended,
}


@dataclass(frozen=True, slots=True)
class Self:
    """What the API says about the daemon it runs in."""

    describe: Callable[[], Awaitable[Orchestrator]]
    health: Callable[[], Awaitable[Health]]
    act: Callable[[ActionRequest, str], None]
    forget: Callable[[str], Awaitable[ManagedAgent]]
    host_id: str
    version: str


class Handlers:
    """Bound to the endpoint table by `table`."""

    def __init__(self, reach: Reach, spawning: Spawning, windows: Windows, itself: Self) -> None:
        self._reach = reach
        self._registry = reach.registry
        self._spawning = spawning
        self._windows = windows
        self._self = itself

    def table(self) -> Mapping[Endpoint[Any], Callable[[Call], Awaitable[Any]]]:
        """Return every endpoint that a host answers, with its handler."""
        return {
            endpoints.SPAWN: self.spawn,
            endpoints.LIST_AGENTS: self.list_agents,
            endpoints.GET_AGENT: self.get_agent,
            endpoints.FORGET_AGENT: self.forget_agent,
            endpoints.STOP_AGENT: self.stop_agent,
            endpoints.SIGNAL_AGENT: self.signal_agent,
            endpoints.SEND_INPUT: self.send_input,
            endpoints.RESIZE_AGENT: self.resize_agent,
            endpoints.OPEN_AGENT: self.open,
            endpoints.REPORT_WINDOW: self.report_window,
            endpoints.WINDOW_GONE: self.window_gone,
            endpoints.SEND_TO_AGENT: self.send,
            endpoints.INTERRUPT_AGENT: self.interrupt,
            endpoints.CHANGE_AGENT: self.change,
            endpoints.LIST_APPROVALS: self.list_approvals,
            endpoints.GET_APPROVAL: self.get_approval,
            endpoints.ANSWER_APPROVAL: self.answer,
            endpoints.REPORT_HOOK: self.report_hook,
            endpoints.GET_SCREEN: self.screen,
            endpoints.ATTACH: self.attach,
            endpoints.READ_OUTPUT: self.read_output,
            endpoints.EVENTS: self.events,
            endpoints.LIST_HOSTS: self.list_hosts,
            endpoints.GET_HOST: self.get_host,
            endpoints.ACT: self.act,
            endpoints.HEALTH: self.health,
            endpoints.SPEC: self.spec,
        }

    async def spawn(self, call: Call) -> SpawnResponse:
        request = call.body
        if request.orchestrator_id not in (None, self._self.host_id):
            raise ApiError(
                Code.UNKNOWN_ORCHESTRATOR,
                f"this is host {self._self.host_id!r}; reach {request.orchestrator_id!r} through the relay",
            )
        asker = Asker(name=call.caller.name, agent_id=call.caller.agent_id)
        record, created = await self._spawning.spawn(request, asker)
        return SpawnResponse(agent=shown(record), created=created)

    async def list_agents(self, call: Call) -> list[ManagedAgent]:
        query = call.query
        wanted = _statuses(query.status)
        found = [
            shown(record)
            for record in self._registry
            if record.agent.status in wanted
            and query.orchestrator_id in (None, self._self.host_id)
            and query.provider in (None, record.agent.provider)
            and query.label in (None, record.agent.label)
            and query.parent_id in (None, record.agent.parent_id)
            and (query.tag is None or query.tag in record.agent.tags)
        ]
        found.sort(key=lambda agent: (agent.created_at, agent.id), reverse=True)
        return found[: max(0, query.limit)]

    async def get_agent(self, call: Call) -> ManagedAgent:
        record = self._registry.find(call.id)
        come = WAITS.get(call.query.wait)
        if come is None:
            raise ApiError(Code.INVALID, f"wait must be running, ready or ended, not {call.query.wait!r}")
        timeout_ms = min(max(call.query.timeout_ms, 0), MAX_WAIT_MS)
        return shown(await self._registry.when(record.id, come, timeout_ms / 1000))

    async def forget_agent(self, call: Call) -> ManagedAgent:
        return await self._self.forget(self._registry.find(call.id).id)

    async def stop_agent(self, call: Call) -> ManagedAgent:
        record = await stop(self._reach, call.id, call.body, call.caller.name)
        return shown(record)

    async def signal_agent(self, call: Call) -> ManagedAgent:
        return shown(await send_signal(self._reach, call.id, call.body))

    async def report_hook(self, call: Call) -> None:
        _, observation = self._reach.observed(call.id)
        if observation.hooks is None:
            raise ApiError(Code.INVALID, f"agent {call.id} was started without hooks")
        observation.hooks.take(call.body)

    async def send_input(self, call: Call) -> InputResult:
        return await send_input(self._reach, call.id, call.body)

    async def resize_agent(self, call: Call) -> ManagedAgent:
        return shown(await resize(self._reach, call.id, call.body))

    async def open(self, call: Call) -> OpenResult:
        return await open_window(self._reach, self._windows, call.id, call.body)

    async def report_window(self, call: Call) -> WindowAnswer:
        return await self._windows.reports.report(call.id, call.body)

    async def window_gone(self, call: Call) -> None:
        self._windows.reports.gone(call.id, call.body)

    async def send(self, call: Call) -> SendResult:
        return await send_message(self._reach, call.id, call.body)

    async def interrupt(self, call: Call) -> ManagedAgent:
        return shown(await interrupt(self._reach, call.id))

    async def change(self, call: Call) -> ManagedAgent:
        return shown(await change(self._reach, call.id, call.body))

    async def list_approvals(self, call: Call) -> list[Approval]:
        return asked.listed(self._registry, call.query)

    async def get_approval(self, call: Call) -> Approval:
        return asked.find(self._registry, call.id)

    async def answer(self, call: Call) -> Approval:
        return await answer(self._reach, call.id, call.body, call.caller.name)

    async def screen(self, call: Call) -> ScreenResult:
        return await screen(self._reach, call.id, call.query)

    async def attach(self, call: Call) -> None:
        viewing = await attach(self._registry, call.id, call.query)
        try:
            await call.socket.accept()
        except BaseException:
            await viewing.attachment.close()
            raise
        await serve(self._registry, viewing, call.socket)

    async def read_output(self, call: Call) -> Streamed:
        record = self._registry.find(call.id)
        source = frames(record, self._reach.supervisor.live(record.id), call.query)
        if MEDIA_TYPE in call.request.headers.get("Accept", ""):
            return Streamed(_encoded(source), MEDIA_TYPE)
        return Streamed(_plain(source), "application/octet-stream")

    async def events(self, call: Call) -> Streamed:
        after = call.last_event_id if call.last_event_id is not None else call.query.after

        async def source() -> AsyncIterator[ServerEvent]:
            async for event in self._registry.events(after, call.query.agent_id):
                yield ServerEvent(event, event.type, event.id)

        return events(source())

    async def list_hosts(self, call: Call) -> list[Orchestrator]:
        return [await self._self.describe()]

    async def get_host(self, call: Call) -> Orchestrator:
        if call.id != self._self.host_id:
            raise ApiError(
                Code.UNKNOWN_ORCHESTRATOR,
                f"this is host {self._self.host_id!r}; ask the relay about {call.id!r}",
            )
        return await self._self.describe()

    async def act(self, call: Call) -> CommandResult:
        await self.get_host(call)
        self._self.act(call.body, call.caller.name)
        return CommandResult(command_id=0, state="done")

    async def health(self, call: Call) -> Health:
        return await self._self.health()

    async def spec(self, call: Call) -> dict[str, Any]:
        return document(self._self.version, self.table())


def shown(record: AgentRecord) -> ManagedAgent:
    """Return the agent as this host vouches for it now."""
    agent = record.agent
    if agent.ended:
        return agent
    return msgspec.structs.replace(agent, presence=Presence.LIVE, presence_since=agent.started_at)


def _statuses(text: str) -> frozenset[Status]:
    groups = {"all": frozenset(Status), "live": frozenset(Status) - ENDED, "ended": ENDED}
    if text in groups:
        return groups[text]
    try:
        return frozenset(Status(name.strip()) for name in text.split(","))
    except ValueError:
        known = ", ".join([*groups, *Status])
        raise ApiError(Code.INVALID, f"status {text!r} is not one of {known}") from None


async def _encoded(source: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    async for frame in source:
        yield encode_frame(frame)


async def _plain(source: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    async for frame in source:
        if frame.kind in (Kind.PTY, Kind.STDOUT, Kind.STDERR):
            yield frame.data
