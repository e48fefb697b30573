"""What the relay asks of a host: a durable queue per host, and requests for live bytes."""

from __future__ import annotations

import enum
from typing import Any

from relay.wire.agents import ManagedAgent, SpawnRequest
from relay.wire.approvals import AnswerRequest
from relay.wire.base import Wire
from relay.wire.errors import ErrorDetail
from relay.wire.orchestrators import ActionRequest, Fence
from relay.wire.steering import ChangeRequest, InputRequest, SignalRequest, StopRequest
from relay.wire.terminal import AttachQuery, OpenRequest, ResizeRequest, ScreenQuery, SendRequest

__all__ = [
    "ActCommand",
    "AnswerCommand",
    "AttachCommand",
    "ChangeCommand",
    "CommandAck",
    "CommandBody",
    "CommandEnvelope",
    "CommandResult",
    "ForgetCommand",
    "InputCommand",
    "InterruptCommand",
    "OpenCommand",
    "Outcome",
    "OutputCommand",
    "ResizeCommand",
    "ScreenCommand",
    "SendCommand",
    "SignalCommand",
    "SpawnCommand",
    "StopCommand",
]


class SpawnCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="spawn"):
    """`agentId` was chosen by the relay before anything runs."""

    agent_id: str
    request: SpawnRequest
    requested_by: str
    queued_at: int


class StopCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="stop"):
    agent_id: str
    request: StopRequest
    by: str


class SignalCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="signal"):
    agent_id: str
    request: SignalRequest


class InputCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="input"):
    agent_id: str
    request: InputRequest


class ForgetCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="forget"):
    """Delete the record and the output of an ended agent."""

    agent_id: str


class ActCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="act"):
    request: ActionRequest
    by: str


class OutputCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="output"):
    """Send an agent's output up to `POST …/streams/{streamId}`. Not durable, not acknowledged.

    `follow` goes on until the agent has ended. `tail` asks for the last that many bytes instead of
    `offset`, `timed` for the frames that say when.
    """

    stream_id: str
    agent_id: str
    offset: int = 0
    limit: int | None = None
    tail: int | None = None
    follow: bool = False
    timed: bool = False


class SendCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="send"):
    """Answered with a `SendResult`."""

    agent_id: str
    request: SendRequest


class AnswerCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """Answer an approval; acknowledged with the `Approval` as it is then."""

    agent_id: str
    approval_id: str
    request: AnswerRequest
    by: str


class InterruptCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="interrupt"):
    """End the agent's present turn and nothing else."""

    agent_id: str


class ChangeCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="change"):
    agent_id: str
    request: ChangeRequest


class ResizeCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="resize"):
    agent_id: str
    request: ResizeRequest


class OpenCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="open"):
    """Answered with an `OpenResult`."""

    agent_id: str
    request: OpenRequest


class ScreenCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="screen"):
    """Answered with a `ScreenResult`."""

    agent_id: str
    query: ScreenQuery


class AttachCommand(Wire, frozen=True, kw_only=True, tag_field="kind", tag="attach"):
    """Open the socket `…/streams/{streamId}/attach` for a viewer. Not durable, not acknowledged."""

    stream_id: str
    agent_id: str
    query: AttachQuery


CommandBody = (
    SpawnCommand
    | StopCommand
    | SignalCommand
    | InputCommand
    | ForgetCommand
    | ActCommand
    | OutputCommand
    | SendCommand
    | AnswerCommand
    | InterruptCommand
    | ChangeCommand
    | ResizeCommand
    | OpenCommand
    | ScreenCommand
    | AttachCommand
)


class CommandEnvelope(Wire, frozen=True, kw_only=True):
    """One event of `GET …/commands`. `id` ascends per host and is the event's id.

    Commands are sent again on every new stream until acknowledged, so a host acts once per id.
    `id` 0 marks a request for live bytes. After `expiresAt` (relay clock) a host must refuse a
    command that it has not seen before.
    """

    id: int
    created_at: int
    body: CommandBody
    expires_at: int | None = None


class Outcome(enum.StrEnum):
    DONE = "done"
    REFUSED = "refused"


class CommandAck(Fence, frozen=True, kw_only=True):
    """`POST …/commands/{cid}/ack`: the host has settled the command for good."""

    outcome: Outcome
    error: ErrorDetail | None = None
    agent: ManagedAgent | None = None
    result: dict[str, Any] | None = None


class CommandResult(Wire, frozen=True, kw_only=True):
    """What a caller learns of a command: `pending` while the host has not answered."""

    command_id: int
    state: str
    agent: ManagedAgent | None = None
    result: dict[str, Any] | None = None
