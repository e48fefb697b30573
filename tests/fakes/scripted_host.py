"""A host made of a script: speaks to a real relay over HTTP, runs nothing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx_sse
import msgspec

from relay.wire import endpoints
from relay.wire.agents import ManagedAgent, Mode, Status
from relay.wire.base import decode, now_ms
from relay.wire.client import AsyncClient
from relay.wire.commands import CommandAck, CommandEnvelope, CommandResult, Outcome
from relay.wire.errors import ErrorDetail
from relay.wire.orchestrators import (
    Fence,
    Heartbeat,
    HeartbeatReply,
    Load,
    ProviderInfo,
    Registration,
    RegistrationReply,
    Report,
    ReportBatch,
    ReportReply,
    Roster,
)
from relay.wire.output import MEDIA_TYPE
from relay.wire.queries import CommandsQuery
from relay.wire.sockets import ClientSocket, SocketClient

__all__ = ["ScriptedHost", "agent"]


def agent(agent_id: str, status: Status = Status.RUNNING, **facts: Any) -> ManagedAgent:
    """Return an agent as a host would report it."""
    at = facts.pop("updated_at", now_ms())
    facts = {"created_at": at, "provider": "command", "mode": Mode.HEADLESS, **facts}
    return ManagedAgent(id=agent_id, status=status, updated_at=at, **facts)


class ScriptedHost:
    """One daemon of host `id`; make another with the same `state_id` for its restart."""

    def __init__(self, client: AsyncClient, id_: str = "h1", *, state_id: str | None = None) -> None:
        self.client = client
        self.id = id_
        self.state_id = state_id or uuid.uuid4().hex
        self.instance_id = uuid.uuid4().hex
        self.epoch = 0
        self.seq = 0

    async def register(self, **facts: Any) -> RegistrationReply:
        facts.setdefault("hostname", f"{self.id}.example")
        facts.setdefault("capabilities", [ProviderInfo(name="claude", path="/usr/bin/claude")])
        said = Registration(
            id=self.id, instance_id=self.instance_id, state_id=self.state_id, sent_at=now_ms(), **facts
        )
        reply = await self.client.call(endpoints.REGISTER, said)
        self.epoch = reply.epoch
        return reply

    @property
    def fence(self) -> Fence:
        return Fence(instance_id=self.instance_id, epoch=self.epoch)

    async def beat(self, running: int = 0, **facts: Any) -> HeartbeatReply:
        body = Heartbeat(
            instance_id=self.instance_id,
            epoch=self.epoch,
            sent_at=facts.pop("sent_at", now_ms()),
            load=Load(running=running, cpus=2),
            **facts,
        )
        return await self.client.call(endpoints.HEARTBEAT, body, path={"id": self.id})

    async def roster(self, *agents: ManagedAgent, taken_at: int = 0) -> ReportReply:
        body = Roster(instance_id=self.instance_id, epoch=self.epoch, agents=list(agents), taken_at=taken_at)
        return await self.client.call(endpoints.PUT_ROSTER, body, path={"id": self.id})

    async def report(self, *agents: ManagedAgent, **facts: Any) -> ReportReply:
        reports = []
        for said in agents:
            self.seq += 1
            reports.append(Report(seq=self.seq, at=said.updated_at, kind="changed", agent=said, **facts))
        return await self.send(reports)

    async def send(self, reports: list[Report]) -> ReportReply:
        body = ReportBatch(instance_id=self.instance_id, epoch=self.epoch, reports=reports)
        return await self.client.call(endpoints.POST_REPORTS, body, path={"id": self.id})

    @asynccontextmanager
    async def commands(self, after: int | None = None) -> AsyncIterator[AsyncIterator[CommandEnvelope]]:
        """Open the command stream; iterate over what comes."""
        query = CommandsQuery(instance_id=self.instance_id, epoch=self.epoch)
        async with self.client.stream(
            endpoints.COMMANDS, path={"id": self.id}, query=query, last_event_id=after
        ) as response:

            async def envelopes() -> AsyncIterator[CommandEnvelope]:
                async for event in httpx_sse.EventSource(response).aiter_sse():
                    envelope = decode(event.data.encode(), CommandEnvelope)
                    assert event.id == (str(envelope.id) if envelope.id else event.id)
                    yield envelope

            yield envelopes()

    async def ack(
        self,
        envelope: CommandEnvelope,
        said: ManagedAgent | None = None,
        *,
        error: ErrorDetail | None = None,
        result: dict[str, Any] | None = None,
    ) -> CommandResult:
        body = CommandAck(
            instance_id=self.instance_id,
            epoch=self.epoch,
            outcome=Outcome.DONE if error is None else Outcome.REFUSED,
            error=error,
            agent=said,
            result=result,
        )
        return await self.client.call(endpoints.ACK_COMMAND, body, path={"id": self.id, "cid": envelope.id})

    async def upload(self, stream_id: str, pieces: AsyncIterator[bytes]) -> None:
        await self.client.upload(
            endpoints.UPLOAD_STREAM,
            pieces,
            path={"id": self.id, "sid": stream_id},
            media_type=MEDIA_TYPE,
        )

    async def open_terminal(self, stream_id: str) -> ClientSocket:
        """Open this host's end of a viewer's socket."""
        sockets = SocketClient(self.client.target, token=self.client.token, verify=self.client.verify)
        return await sockets.connect(endpoints.ATTACH_STREAM, path={"id": self.id, "sid": stream_id})

    async def refuse_upload(self, stream_id: str, error: ErrorDetail) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield msgspec.json.encode({"error": error})

        await self.client.upload(
            endpoints.UPLOAD_STREAM,
            body(),
            path={"id": self.id, "sid": stream_id},
            media_type="application/json",
        )
