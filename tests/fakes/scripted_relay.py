"""A relay that says what the test wants said, on a real socket, and keeps everything it hears."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from relay.wire import endpoints
from relay.wire.base import now_ms
from relay.wire.commands import CommandAck, CommandEnvelope, CommandResult
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.orchestrators import (
    AckClass,
    HeartbeatReply,
    HostStatus,
    Orchestrator,
    RegistrationReply,
    ReportAck,
    ReportReply,
)
from relay.wire.serving import Call, ServerEvent, Streamed, events, routes


class Heard:
    """What came in at one endpoint, in order; `next` waits for the next that was not taken yet."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, item: Any) -> None:
        self.all.append(item)
        self._queue.put_nowait(item)

    async def next(self, timeout_s: float = 15.0) -> Any:
        return await asyncio.wait_for(self._queue.get(), timeout_s)


class ScriptedRelay:
    """`refusals[endpoint]` are raised first, one a call; `report_acks` are used up one an entry."""

    def __init__(self) -> None:
        self.registered, self.beaten, self.rosters = Heard(), Heard(), Heard()
        self.reported, self.acknowledged, self.uploaded = Heard(), Heard(), Heard()
        self.refused = Heard()
        self.refusals: dict[Endpoint[Any], deque[ApiError]] = {}
        self.report_acks: deque[AckClass] = deque()
        self.commands: list[CommandEnvelope] = []
        self.interval_ms = 100
        self.epoch = 0
        self._wake: set[asyncio.Event] = set()
        self._streams: set[asyncio.Event] = set()
        self.url = ""

    def command(self, number: int, body: Any, **fields: Any) -> None:
        """Queue a command, as the relay does: it is sent until it is acknowledged."""
        self.commands.append(
            CommandEnvelope(id=number, created_at=fields.pop("created_at", 1), body=body, **fields)
        )
        for event in self._wake:
            event.set()

    def break_streams(self) -> None:
        for event in self._streams:
            event.set()

    def refuse(self, endpoint: Endpoint[Any], code: Code, message: str = "because the test says so") -> None:
        self.refusals.setdefault(endpoint, deque()).append(ApiError(code, message))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedRelay]:
        table = {
            endpoints.REGISTER: self._register,
            endpoints.HEARTBEAT: self._heartbeat,
            endpoints.PUT_ROSTER: self._roster,
            endpoints.POST_REPORTS: self._reports,
            endpoints.COMMANDS: self._commands,
            endpoints.ACK_COMMAND: self._ack,
            endpoints.UPLOAD_STREAM: self._upload,
        }
        app = Starlette(routes=routes(table, self._guard, lambda error: ApiError(Code.INTERNAL, repr(error))))
        server = uvicorn.Server(
            uvicorn.Config(
                app, port=0, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
            )
        )
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = True
            self.break_streams()
            await task

    async def _guard(self, request: Request, endpoint: Endpoint[Any]) -> None:
        waiting = self.refusals.get(endpoint)
        if waiting:
            self.refused.put(endpoint.name)
            raise waiting.popleft()

    async def _register(self, call: Call) -> RegistrationReply:
        self.registered.put(call.body)
        self.epoch += 1
        shown = Orchestrator(
            id=call.body.id, hostname=call.body.hostname, status=HostStatus.ONLINE, agent_id="orchestrator-x"
        )
        return RegistrationReply(
            orchestrator=shown, epoch=self.epoch, heartbeat_interval_ms=self.interval_ms,
            lease_ms=3 * self.interval_ms, server_time=now_ms(),
        )  # fmt: skip

    async def _heartbeat(self, call: Call) -> HeartbeatReply:
        self.beaten.put(call.body)
        return HeartbeatReply(
            heartbeat_interval_ms=self.interval_ms, lease_ms=3 * self.interval_ms, server_time=now_ms()
        )

    async def _roster(self, call: Call) -> ReportReply:
        self.rosters.put(call.body)
        return ReportReply(acks=[])

    async def _reports(self, call: Call) -> ReportReply:
        acks = []
        for report in call.body.reports:
            if acks and acks[-1].ack is AckClass.RETRY:
                ack = AckClass.RETRY  # what could not be stored holds up all that follows
            else:
                ack = self.report_acks.popleft() if self.report_acks else AckClass.COMMITTED
            self.reported.put((report, ack))
            acks.append(ReportAck(seq=report.seq, ack=ack))
        return ReportReply(acks=acks)

    async def _commands(self, call: Call) -> Streamed:
        async def source() -> AsyncIterator[ServerEvent]:
            wake, broken = asyncio.Event(), asyncio.Event()
            self._wake.add(wake)
            self._streams.add(broken)
            sent: set[int] = set()
            try:
                while not broken.is_set():
                    wake.clear()
                    for envelope in self.commands:
                        if envelope.id not in sent:
                            sent.add(envelope.id)
                            yield ServerEvent(envelope, "command", envelope.id or None)
                    tasks = {asyncio.create_task(wake.wait()), asyncio.create_task(broken.wait())}
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for task in tasks:
                        task.cancel()
            finally:
                self._wake.discard(wake)
                self._streams.discard(broken)

        return events(source())

    async def _ack(self, call: Call) -> CommandResult:
        number, ack = int(call.path["cid"]), call.body
        assert isinstance(ack, CommandAck)
        self.acknowledged.put((number, ack))
        return CommandResult(command_id=number, state="done")

    async def _upload(self, call: Call) -> None:
        body = b"".join([piece async for piece in call.request.stream()])
        self.uploaded.put((call.path["sid"], call.request.headers["Content-Type"], body))
