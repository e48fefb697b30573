"""Carries out commands: in order for one agent, side by side for many, once per command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from orchestrator.commands import asked
from orchestrator.commands.answer import answer
from orchestrator.commands.change import change
from orchestrator.commands.input import send_input, send_signal
from orchestrator.commands.interrupt import interrupt
from orchestrator.commands.open import open_window
from orchestrator.commands.reach import Reach
from orchestrator.commands.resize import resize
from orchestrator.commands.screen import screen
from orchestrator.commands.send import send_message
from orchestrator.commands.spawn import Asker, Spawning
from orchestrator.commands.stop import stop
from orchestrator.daemon.connection import Connection, backoff_s
from orchestrator.daemon.lanes import Lanes
from orchestrator.daemon.streams import Streams
from orchestrator.link.errors import LinkError, Retry
from orchestrator.link.session import Link
from orchestrator.local.errors import translate
from orchestrator.store.commands import CommandLog
from orchestrator.windows.windows import Windows
from relay.wire.agents import ManagedAgent
from relay.wire.approvals import ApprovalState
from relay.wire.base import encode, now_ms
from relay.wire.commands import (
    ActCommand,
    AnswerCommand,
    AttachCommand,
    ChangeCommand,
    CommandAck,
    CommandBody,
    CommandEnvelope,
    ForgetCommand,
    InputCommand,
    InterruptCommand,
    OpenCommand,
    Outcome,
    OutputCommand,
    ResizeCommand,
    ScreenCommand,
    SendCommand,
    SignalCommand,
    SpawnCommand,
    StopCommand,
)
from relay.wire.errors import ApiError, Code
from relay.wire.orchestrators import ActionRequest, Fence
from spawners.failpoint import failpoint

__all__ = ["Dispatcher"]

log = structlog.get_logger()

ACK_TRIES = 5
MAX_RESULT = 7 * 1024 * 1024
"""Of the 8 MiB that the relay takes of an answer, quotes included."""

_LANES: dict[type[CommandBody], str] = {
    InputCommand: "typing",
    SendCommand: "typing",
    AnswerCommand: "answering",
    InterruptCommand: "answering",
    ChangeCommand: "answering",
    OpenCommand: "opening",
}
"""What may take its time beside what else happens to its agent, but not beside its like."""

Answer = tuple[ManagedAgent | None, dict[str, Any] | None]


class Dispatcher:
    """`accept` returns at once; the answer goes back over the link that the command came from."""

    def __init__(
        self,
        *,
        reach: Reach,
        spawning: Spawning,
        windows: Windows,
        commands: CommandLog,
        connection: Connection,
        forget: Callable[[str], Awaitable[ManagedAgent]],
        act: Callable[[ActionRequest, str], None],
    ) -> None:
        self._reach = reach
        self._spawning = spawning
        self._windows = windows
        self._commands = commands
        self._connection = connection
        self._forget = forget
        self._act = act
        self._streams = Streams(reach.registry, reach.supervisor)
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, envelope: CommandEnvelope, link: Link) -> None:
        """Begin to carry out `envelope`, or answer it again if it was carried out before."""
        body = envelope.body
        if isinstance(body, OutputCommand | AttachCommand):
            work = self._streams.serve(body, link)
        else:
            work = self._serve(envelope, link)
        task = asyncio.create_task(work, name=f"command {envelope.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, envelope: CommandEnvelope, link: Link) -> None:
        key = f"{envelope.id}:{envelope.created_at}"
        async with self._turn(envelope.body):
            answer = self._commands.answer(key) or await self._carry_out(envelope, key)
        fence = link.fence
        answer = msgspec.structs.replace(answer, instance_id=fence.instance_id, epoch=fence.epoch)
        await self._acknowledge(envelope.id, answer, link)

    @asynccontextmanager
    async def _turn(self, body: CommandBody) -> AsyncIterator[None]:
        """Keep the order of what happens to one agent, of what is typed into it and of what it is answered.

        Typing may take minutes, for a person or a slow program: a stop does not wait for that, and
        neither does a look at the screen or an answer. All still wait for what was asked before them.
        """
        agent_id = getattr(body, "agent_id", "")
        lane = _LANES.get(type(body))
        async with self._lanes.turn(agent_id):
            if lane is None and not isinstance(body, ScreenCommand):
                yield
                return
        if lane is not None:
            async with self._lanes.turn(f"{agent_id} {lane}"):
                yield
        else:
            yield

    async def _acknowledge(self, command_id: int, answer: CommandAck, link: Link) -> None:
        """Try for a while; after that the relay asks again, by repeating the command on its next stream."""
        for attempt in range(1, ACK_TRIES + 1):
            try:
                return await link.acknowledge(command_id, answer)
            except Retry:
                await asyncio.sleep(backoff_s(attempt))
            except LinkError as error:
                log.info("command.not_acknowledged", command=command_id, why=str(error))
                return None
        return None

    async def _carry_out(self, envelope: CommandEnvelope, key: str) -> CommandAck:
        nobody = Fence(instance_id="", epoch=0)
        try:
            agent, result = await self._perform(envelope, key)
            answer = CommandAck(
                instance_id=nobody.instance_id,
                epoch=nobody.epoch,
                outcome=Outcome.DONE,
                agent=agent,
                result=result,
            )
        except Exception as error:  # noqa: BLE001 - the edge of a request; what nobody foresaw is logged
            answer = _refusal(translate(error))
        failpoint("before_command_settled")
        self._commands.settle(key, answer)
        failpoint("after_command_settled")
        return answer

    async def _perform(self, envelope: CommandEnvelope, key: str) -> Answer:
        body = envelope.body
        known = isinstance(body, SpawnCommand) and self._reach.registry.get(body.agent_id) is not None
        if not known and not self._commands.taken(key) and self._expired(envelope):
            raise ApiError(Code.TIMEOUT, "the command reached the host after its deadline; nothing was done")
        if isinstance(body, SpawnCommand):
            asker = Asker(name=f"relay:{body.requested_by}", remote=True)
            record, _ = await self._spawning.spawn(body.request, asker, body.agent_id, body.queued_at)
            return record.agent, None
        if isinstance(body, StopCommand):
            record = await stop(self._reach, body.agent_id, body.request, body.by)
            return record.agent, None
        if isinstance(body, ForgetCommand):
            return await self._forget(body.agent_id), None
        if isinstance(body, ResizeCommand):
            record = await resize(self._reach, body.agent_id, body.request)
            return record.agent, None
        if isinstance(body, ScreenCommand):
            return None, await self._screen(body)
        if isinstance(body, AnswerCommand) and self._commands.taken(key):
            # By the daemon before this one, which may have been killed before or after it answered.
            given = asked.find(self._reach.registry, body.approval_id)
            if given.state is not ApprovalState.PENDING:
                return self._reach.registry.find(given.agent_id).agent, msgspec.to_builtins(given)
            if given.channel == "stream":
                return await self._perform_once(body)
        # What follows must not happen twice, so it is written down first.
        if not self._commands.take(key):
            raise ApiError(
                Code.INTERNAL, "the host restarted while it carried this out; whether it did is unknown"
            )
        failpoint("after_command_taken")
        return await self._perform_once(body)

    async def _perform_once(self, body: CommandBody) -> Answer:
        if isinstance(body, InputCommand):
            sent = await send_input(self._reach, body.agent_id, body.request)
            return None, msgspec.to_builtins(sent)
        if isinstance(body, SendCommand):
            receipt = await send_message(self._reach, body.agent_id, body.request)
            return None, msgspec.to_builtins(receipt)
        if isinstance(body, OpenCommand):
            shown = await open_window(self._reach, self._windows, body.agent_id, body.request, remote=True)
            return shown.agent, msgspec.to_builtins(shown)
        if isinstance(body, AnswerCommand):
            given = await answer(self._reach, body.approval_id, body.request, body.by)
            return self._reach.registry.find(given.agent_id).agent, msgspec.to_builtins(given)
        if isinstance(body, InterruptCommand):
            return (await interrupt(self._reach, body.agent_id)).agent, None
        if isinstance(body, ChangeCommand):
            return (await change(self._reach, body.agent_id, body.request)).agent, None
        if isinstance(body, SignalCommand):
            record = await send_signal(self._reach, body.agent_id, body.request)
            return record.agent, None
        if isinstance(body, ActCommand):
            self._act(body.request, body.by)
            return None, None
        raise ApiError(Code.INVALID, f"this host does not know the command {type(body).__name__}; upgrade it")

    async def _screen(self, body: ScreenCommand) -> dict[str, Any]:
        shown = await screen(self._reach, body.agent_id, body.query)
        result: dict[str, Any] = msgspec.to_builtins(shown)
        if len(encode(result)) > MAX_RESULT:
            raise ApiError(
                Code.TOO_LARGE,
                f"this screen takes more than {MAX_RESULT >> 20} MiB as {shown.format}; ask for text",
            )
        return result

    def _expired(self, envelope: CommandEnvelope) -> bool:
        return envelope.expires_at is not None and now_ms() - self._connection.skew_ms > envelope.expires_at

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _refusal(error: ApiError) -> CommandAck:
    return CommandAck(instance_id="", epoch=0, outcome=Outcome.REFUSED, error=error.body.error)
