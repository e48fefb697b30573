"""What may be done to a running agent from afar: stop, signal, input, and all that concerns its terminal
but attaching to it."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from relay.core.agents import Agents
from relay.core.changes import Change, Changes
from relay.core.commands import Commands, issue
from relay.core.leases import Leases
from relay.core.mirror import at_time, ended
from relay.core.records import AgentRecord, CommandRecord
from relay.core.terminals import check_size, need_terminal
from relay.core.tokens import Caller
from relay.wire.agents import Cause, CauseKind, ManagedAgent, Status
from relay.wire.approvals import AnswerRequest, Approval
from relay.wire.base import now_ms
from relay.wire.commands import (
    AnswerCommand,
    ChangeCommand,
    CommandBody,
    CommandResult,
    InputCommand,
    InterruptCommand,
    OpenCommand,
    ResizeCommand,
    ScreenCommand,
    SendCommand,
    SignalCommand,
    StopCommand,
)
from relay.wire.errors import ApiError, Code
from relay.wire.events import EventType
from relay.wire.opening import check_desktop, check_terminal
from relay.wire.queries import AgentQuery
from relay.wire.steering import ChangeRequest, InputRequest, InputResult, SignalRequest, StopRequest
from relay.wire.terminal import (
    OpenRequest,
    OpenResult,
    ResizeRequest,
    ScreenQuery,
    ScreenResult,
    SendRequest,
    SendResult,
)
from relay.wire.windows import DesktopInfo

__all__ = ["Steering"]

Result = TypeVar("Result")

MAX_INPUT_TIMEOUT_MS = 300_000
OPEN_TIMEOUT_MS = 55_000
"""A host tries one terminal after the other, each for as long as a slow desktop needs."""
INPUT_MARGIN_MS = 5_000
"""For the way to the host and back, beside the time the write itself may take."""


class Steering:
    def __init__(
        self, changes: Changes, leases: Leases, agents: Agents, commands: Commands, signal_timeout_ms: int
    ) -> None:
        self._changes = changes
        self._leases = leases
        self._agents = agents
        self._commands = commands
        self._signal_timeout_ms = signal_timeout_ms

    async def stop(self, caller: Caller, reference: str, request: StopRequest) -> ManagedAgent:
        """End an agent; at once if no host was sent its spawn, else by a command that stays until the
        host has taken it. An ended agent is returned as it is, unless another is to follow it."""
        if request.grace_ms is not None and request.grace_ms < 0:
            raise ApiError(Code.INVALID, "graceMs must not be negative")
        seen = await self._agents.find(caller, reference)
        by = request.by or caller.shown
        async with self._changes.begin() as change:
            record = await change.tx.agents.get(seen.id)
            if record is None:
                raise ApiError(Code.NOT_FOUND, f"agent {seen.id} was deleted meanwhile")
            if record.agent.ended and record.agent.restart_at is None:
                return self._agents.shown(record)
            pending = await change.tx.commands.of_agent(record.id)
            spawn = next((c for c in pending if c.kind == "spawn" and c.delivered_at is None), None)
            if request.finish and (spawn is not None or record.host_id is None):
                raise ApiError(Code.CONFLICT, f"agent {record.id} has not begun; stop it without finish")
            if spawn is not None or record.host_id is None:
                record = await self._cancel(change, record, pending, by)
            else:
                body = StopCommand(agent_id=record.id, request=request, by=by)
                if not any(c.body == body and c.delivered_at is None for c in pending):
                    await issue(change, record.host_id, body)
        if record.agent.ended:
            self._free(record)
            return self._agents.shown(record)
        return self._told(record)

    async def _cancel(
        self, change: Change, record: AgentRecord, pending: list[CommandRecord], by: str
    ) -> AgentRecord:
        await change.tx.commands.delete([command.id for command in pending])
        cause = Cause(kind=CauseKind.STOPPED, message=f"stopped by {by} before any host was sent it", by=by)
        cancelled = ended(record, Status.CANCELLED, cause, now_ms())
        await change.tx.agents.put([cancelled])
        change.agent_event(EventType.AGENT_ENDED, cancelled)
        return cancelled

    def _free(self, record: AgentRecord) -> None:
        lease = self._leases.get(record.host_id)
        if lease is not None:
            lease.placed.pop(record.id, None)

    def _told(self, record: AgentRecord) -> ManagedAgent:
        agent = self._agents.shown(record)
        host = self._leases.record(record.host_id)
        if host is not None and host.online:
            return agent
        since = f" (offline since {at_time(host.changed_at)})" if host is not None else ""
        reason = f"the stop will be delivered when host {record.host_id} is back{since}"
        return msgspec.structs.replace(agent, reason=reason)

    async def signal(self, caller: Caller, reference: str, request: SignalRequest) -> ManagedAgent:
        """Signal an agent's process group and return the agent once its host has done it."""
        record = await self._agents.find(caller, reference)
        body = SignalCommand(agent_id=record.id, request=request)
        await self._ask(record, body, self._signal_timeout_ms)
        return await self._agents.get(caller, record.id, AgentQuery())

    async def send_input(self, caller: Caller, reference: str, request: InputRequest) -> InputResult:
        """Write to an agent's stdin and return how much of it the kernel took."""
        _check_input(request)
        record = await self._agents.find(caller, reference)
        body = InputCommand(agent_id=record.id, request=request)
        answer = await self._ask(record, body, request.timeout_ms + INPUT_MARGIN_MS)
        return _converted(record, answer, InputResult)

    async def send(self, caller: Caller, reference: str, request: SendRequest) -> SendResult:
        """Type a message into an agent's terminal, or say it to a conversation; return what is known then."""
        _check_send(request)
        record = await self._agents.find(caller, reference)
        if not record.agent.conversation:
            need_terminal(record)
        body = SendCommand(agent_id=record.id, request=request)
        answer = await self._ask(record, body, request.wait_ms + request.timeout_ms + INPUT_MARGIN_MS)
        return _converted(record, answer, SendResult)

    async def resize(self, caller: Caller, reference: str, request: ResizeRequest) -> ManagedAgent:
        """Give an agent's terminal another size and return the agent once its host has done it."""
        check_size(request.rows, request.columns)
        record = await self._agents.find(caller, reference)
        need_terminal(record)
        await self._ask(record, ResizeCommand(agent_id=record.id, request=request), self._signal_timeout_ms)
        return await self._agents.get(caller, record.id, AgentQuery())

    async def open(self, caller: Caller, reference: str, request: OpenRequest) -> OpenResult:
        """Have an agent's host show it in a native window and return what that host did."""
        check_terminal(request.terminal)
        check_desktop(request.desktop)
        record = await self._agents.find(caller, reference)
        need_terminal(record)
        self._need_windows(record)
        body = OpenCommand(agent_id=record.id, request=request)
        answer = await self._ask(record, body, OPEN_TIMEOUT_MS)
        return _converted(record, answer, OpenResult)

    def _need_windows(self, record: AgentRecord) -> None:
        """Raise `ApiError` `conflict` for a host of a version that opens no windows.

        Such a host tells nothing of a desktop, and reads none of its commands while one that it does not
        know is among them.
        """
        host = self._leases.record(record.host_id)
        if host is not None and host.facts.desktop == DesktopInfo():
            raise ApiError(
                Code.CONFLICT, f"host {host.id} runs a version of Muster that opens no windows; upgrade it"
            )

    async def interrupt(self, caller: Caller, reference: str) -> ManagedAgent:
        """End an agent's present turn and return the agent once its host has done it."""
        record = await self._agents.find(caller, reference)
        await self._ask(record, InterruptCommand(agent_id=record.id), self._signal_timeout_ms)
        return await self._agents.get(caller, record.id, AgentQuery())

    async def change(self, caller: Caller, reference: str, request: ChangeRequest) -> ManagedAgent:
        """Have an agent go on with another model or mode and return it once its CLI was told."""
        record = await self._agents.find(caller, reference)
        body = ChangeCommand(agent_id=record.id, request=request)
        await self._ask(record, body, self._signal_timeout_ms)
        return await self._agents.get(caller, record.id, AgentQuery())

    async def answer(
        self, caller: Caller, record: AgentRecord, approval_id: str, request: AnswerRequest
    ) -> Approval:
        """Give an answer to what an agent asks and return the approval as it is then."""
        body = AnswerCommand(agent_id=record.id, approval_id=approval_id, request=request, by=caller.shown)
        return _converted(record, await self._ask(record, body, self._signal_timeout_ms), Approval)

    async def screen(self, caller: Caller, reference: str, query: ScreenQuery) -> ScreenResult:
        """Return what an agent's terminal shows now, or showed when the agent ended."""
        record = await self._agents.find(caller, reference)
        need_terminal(record)
        body = ScreenCommand(agent_id=record.id, query=query)
        answer = await self._ask(record, body, self._signal_timeout_ms, ended_too=True)
        return _converted(record, answer, ScreenResult)

    async def _ask(
        self, record: AgentRecord, body: CommandBody, timeout_ms: int, *, ended_too: bool = False
    ) -> CommandResult:
        if record.agent.ended and not ended_too:
            raise ApiError(Code.ENDED, f"agent {record.id} has ended ({record.agent.status})")
        if record.host_id is None:
            raise ApiError(Code.CONFLICT, f"agent {record.id} still waits for a host: {record.agent.reason}")
        host = self._leases.need_online(record.host_id, "nothing was sent")
        async with self._changes.begin() as change:
            command_id = await issue(change, host.id, body, expires_at=now_ms() + timeout_ms)
        return await self._commands.wait(host.id, command_id, timeout_ms / 1000)


def _converted(record: AgentRecord, answer: CommandResult, kind: type[Result]) -> Result:
    try:
        return msgspec.convert(answer.result, kind)
    except msgspec.ValidationError as error:
        raise ApiError(Code.INTERNAL, f"host {record.host_id} answered something else: {error}") from None


def _check_send(request: SendRequest) -> None:
    if (request.text is not None) == bool(request.keys):
        raise ApiError(Code.INVALID, "give either text or keys")
    if request.text == "" and not request.submit:
        raise ApiError(Code.INVALID, "nothing to send: the text is empty and is not to be submitted")
    if not 0 <= request.wait_ms <= MAX_INPUT_TIMEOUT_MS:
        raise ApiError(Code.INVALID, f"waitMs must be from 0 to {MAX_INPUT_TIMEOUT_MS}")
    if not 0 < request.timeout_ms <= MAX_INPUT_TIMEOUT_MS:
        raise ApiError(Code.INVALID, f"timeoutMs must be from 1 to {MAX_INPUT_TIMEOUT_MS}")


def _check_input(request: InputRequest) -> None:
    if request.text is not None and request.base64 is not None:
        raise ApiError(Code.INVALID, "give either text or base64, not both")
    if request.text is None and request.base64 is None and not request.newline and not request.eof:
        raise ApiError(Code.INVALID, "nothing to send: give text, base64, newline or eof")
    if not 0 < request.timeout_ms <= MAX_INPUT_TIMEOUT_MS:
        raise ApiError(Code.INVALID, f"timeoutMs must be from 1 to {MAX_INPUT_TIMEOUT_MS}")
    if request.base64 is not None:
        try:
            base64.b64decode(request.base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ApiError(Code.INVALID, f"base64: {error}") from None
