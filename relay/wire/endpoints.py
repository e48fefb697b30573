"""The one table of calls. Routes, clients and the OpenAPI document all come from it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from relay.wire.agents import ManagedAgent, SpawnRequest, SpawnResponse
from relay.wire.approvals import AnswerRequest, Approval, ApprovalListQuery
from relay.wire.commands import CommandAck, CommandEnvelope, CommandResult
from relay.wire.events import Event
from relay.wire.health import Health, Scope, Token, TokenCreated, TokenRequest
from relay.wire.orchestrators import (
    ActionRequest,
    Heartbeat,
    HeartbeatReply,
    Orchestrator,
    Registration,
    RegistrationReply,
    ReportBatch,
    ReportReply,
    Roster,
)
from relay.wire.queries import AgentListQuery, AgentQuery, CommandsQuery, EventsQuery, OutputQuery
from relay.wire.steering import (
    ChangeRequest,
    HookReport,
    InputRequest,
    InputResult,
    SignalRequest,
    StopRequest,
)
from relay.wire.terminal import (
    Attached,
    AttachQuery,
    OpenRequest,
    OpenResult,
    ResizeRequest,
    ScreenQuery,
    ScreenResult,
    SendRequest,
    SendResult,
)
from relay.wire.windows import WindowAnswer, WindowGone, WindowReport

__all__ = ["ENDPOINTS", "Body", "Endpoint"]

Res = TypeVar("Res")

MAX_BODY = 1024 * 1024
MAX_SPAWN_BODY = 8 * 1024 * 1024
MAX_ACK_BODY = 8 * 1024 * 1024
"""An answer may hold the screen of a large terminal as HTML."""
MAX_ROSTER_BODY = 64 * 1024 * 1024

PUBLIC: frozenset[Scope] = frozenset()
ADMINS = frozenset({Scope.ADMIN})
OPERATORS = ADMINS | {Scope.OPERATOR}
READERS = OPERATORS | {Scope.VIEWER, Scope.ORCHESTRATOR}
SELF = READERS | {Scope.AGENT}
"""Readers, and agents for what is their own."""
HOSTS = ADMINS | {Scope.ORCHESTRATOR}


class Body(enum.Enum):
    """What a response or an upload is made of."""

    JSON = "application/json"
    EVENTS = "text/event-stream"
    BYTES = "application/octet-stream"
    SOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Res]):
    """One call: `request` is the struct of its JSON body or None, `response` that of its answer.

    `scopes` are the tokens that may call it; none at all means that it is open. For an event
    stream `response` is the struct of each event's data, for a socket that of its first text message.
    """

    name: str
    method: str
    path: str
    summary: str
    request: type[Any] | None
    response: type[Res]
    scopes: frozenset[Scope]
    query: type[Any] | None = None
    status: int = 200
    body: Body = Body.JSON
    upload: bool = False
    max_body: int = MAX_BODY

    def url(self, **parameters: str | int) -> str:
        """Return the path with its `{parameters}` filled in (they are percent-quoted)."""
        return self.path.format(**{key: quote(str(value), safe="") for key, value in parameters.items()})


MAX_HOOK_BODY = 512 * 1024
"""Twice what the program that sends them lets through."""

_HOST = "/api/orchestrators/{id}"
_AGENT = "/api/managed-agents/{id}"
_APPROVAL = "/api/approvals/{id}"
_WINDOW = "/api/windows/{id}"

REGISTER = Endpoint(
    "register",
    "POST",
    "/api/orchestrators",
    "Register a host, or register it again",
    Registration,
    RegistrationReply,
    HOSTS,
)
LIST_HOSTS = Endpoint(
    "listOrchestrators",
    "GET",
    "/api/orchestrators",
    "All hosts",
    None,
    list[Orchestrator],
    READERS,
)
GET_HOST = Endpoint("getOrchestrator", "GET", _HOST, "One host", None, Orchestrator, READERS)
DELETE_HOST = Endpoint(
    "deleteOrchestrator",
    "DELETE",
    _HOST,
    "Forget an offline host; its agents become lost",
    None,
    Orchestrator,
    ADMINS,
)
HEARTBEAT = Endpoint(
    "heartbeat",
    "POST",
    _HOST + "/heartbeat",
    "Renew a host's lease",
    Heartbeat,
    HeartbeatReply,
    HOSTS,
)
PUT_ROSTER = Endpoint(
    "putRoster",
    "PUT",
    _HOST + "/managed-agents",
    "Replace what is known of a host's agents",
    Roster,
    ReportReply,
    HOSTS,
    max_body=MAX_ROSTER_BODY,
)
POST_REPORTS = Endpoint(
    "postReports",
    "POST",
    _HOST + "/reports",
    "Report what happened, in order",
    ReportBatch,
    ReportReply,
    HOSTS,
    max_body=MAX_ROSTER_BODY,
)
COMMANDS = Endpoint(
    "commands",
    "GET",
    _HOST + "/commands",
    "What the host is to do; resumable",
    None,
    CommandEnvelope,
    HOSTS,
    query=CommandsQuery,
    body=Body.EVENTS,
)
ACK_COMMAND = Endpoint(
    "ackCommand",
    "POST",
    _HOST + "/commands/{cid}/ack",
    "Settle a command for good",
    CommandAck,
    CommandResult,
    HOSTS,
    max_body=MAX_ACK_BODY,
)
ACT = Endpoint(
    "act",
    "POST",
    _HOST + "/actions",
    "Drain, undrain, restart or shut down a host's daemon",
    ActionRequest,
    CommandResult,
    ADMINS,
    status=202,
)
UPLOAD_STREAM = Endpoint(
    "uploadStream",
    "POST",
    _HOST + "/streams/{sid}",
    "Output frames that a reader is waiting for",
    None,
    type(None),
    HOSTS,
    body=Body.JSON,
    upload=True,
    status=204,
)
SPAWN = Endpoint(
    "spawn",
    "POST",
    "/api/spawns",
    "Start an agent",
    SpawnRequest,
    SpawnResponse,
    OPERATORS,
    status=202,
    max_body=MAX_SPAWN_BODY,
)
LIST_AGENTS = Endpoint(
    "listAgents",
    "GET",
    "/api/managed-agents",
    "Agents, newest first",
    None,
    list[ManagedAgent],
    READERS,
    query=AgentListQuery,
)
GET_AGENT = Endpoint(
    "getAgent",
    "GET",
    _AGENT,
    "One agent, by id, unique prefix or label; may wait",
    None,
    ManagedAgent,
    SELF,
    query=AgentQuery,
)
FORGET_AGENT = Endpoint(
    "forgetAgent",
    "DELETE",
    _AGENT,
    "Delete an ended agent's record and output",
    None,
    ManagedAgent,
    OPERATORS,
)
STOP_AGENT = Endpoint(
    "stopAgent",
    "POST",
    _AGENT + "/stop",
    "End the agent's whole process tree",
    StopRequest,
    ManagedAgent,
    OPERATORS,
    status=202,
)
SIGNAL_AGENT = Endpoint(
    "signalAgent",
    "POST",
    _AGENT + "/signal",
    "Signal the agent's process group",
    SignalRequest,
    ManagedAgent,
    OPERATORS,
)
SEND_INPUT = Endpoint(
    "sendInput",
    "POST",
    _AGENT + "/input",
    "Write to the agent's stdin",
    InputRequest,
    InputResult,
    OPERATORS,
)
RESIZE_AGENT = Endpoint(
    "resizeAgent",
    "POST",
    _AGENT + "/resize",
    "Give the agent's terminal another size",
    ResizeRequest,
    ManagedAgent,
    OPERATORS,
)
OPEN_AGENT = Endpoint(
    "openAgent",
    "POST",
    _AGENT + "/open",
    "Show the agent in a native window of its host's desktop",
    OpenRequest,
    OpenResult,
    OPERATORS,
)
REPORT_WINDOW = Endpoint(
    "reportWindow",
    "POST",
    _WINDOW + "/report",
    "A window says that it is open, and waits for its agent (answered by its host only)",
    WindowReport,
    WindowAnswer,
    OPERATORS,
)
WINDOW_GONE = Endpoint(
    "windowGone",
    "POST",
    _WINDOW + "/gone",
    "A window says why it goes (answered by its host only)",
    WindowGone,
    type(None),
    OPERATORS,
    status=204,
)
SEND_TO_AGENT = Endpoint(
    "sendToAgent",
    "POST",
    _AGENT + "/send",
    "Type one message into the agent's terminal and submit it",
    SendRequest,
    SendResult,
    OPERATORS,
)
INTERRUPT_AGENT = Endpoint(
    "interruptAgent",
    "POST",
    _AGENT + "/interrupt",
    "End the agent's present turn and nothing else",
    None,
    ManagedAgent,
    OPERATORS,
)
CHANGE_AGENT = Endpoint(
    "changeAgent",
    "PATCH",
    _AGENT,
    "Go on with another model or approval mode",
    ChangeRequest,
    ManagedAgent,
    OPERATORS,
)
REPORT_HOOK = Endpoint(
    "reportHook",
    "POST",
    _AGENT + "/hooks",
    "What the CLI's own hooks say (answered by its host only)",
    HookReport,
    type(None),
    SELF,
    status=204,
    max_body=MAX_HOOK_BODY,
)
LIST_APPROVALS = Endpoint(
    "listApprovals",
    "GET",
    "/api/approvals",
    "What agents ask, oldest first",
    None,
    list[Approval],
    READERS,
    query=ApprovalListQuery,
)
GET_APPROVAL = Endpoint("getApproval", "GET", _APPROVAL, "One question", None, Approval, READERS)
ANSWER_APPROVAL = Endpoint(
    "answerApproval",
    "POST",
    _APPROVAL + "/answer",
    "Allow or deny what an agent asks",
    AnswerRequest,
    Approval,
    OPERATORS,
)
GET_SCREEN = Endpoint(
    "getScreen",
    "GET",
    _AGENT + "/screen",
    "What the agent's terminal shows now",
    None,
    ScreenResult,
    SELF,
    query=ScreenQuery,
)
ATTACH = Endpoint(
    "attach",
    "GET",
    _AGENT + "/attach",
    "A viewer's socket: the agent's terminal as bytes, and keys back",
    None,
    Attached,
    READERS,
    query=AttachQuery,
    status=101,
    body=Body.SOCKET,
)
ATTACH_STREAM = Endpoint(
    "attachStream",
    "GET",
    _HOST + "/streams/{sid}/attach",
    "The host's end of a viewer's socket",
    None,
    Attached,
    HOSTS,
    status=101,
    body=Body.SOCKET,
)
READ_OUTPUT = Endpoint(
    "readOutput",
    "GET",
    _AGENT + "/output",
    "The agent's output by offset; may follow",
    None,
    bytes,
    SELF,
    query=OutputQuery,
    body=Body.BYTES,
)
EVENTS = Endpoint(
    "events",
    "GET",
    "/api/events",
    "What happens, as it happens; resumable by id",
    None,
    Event,
    READERS,
    query=EventsQuery,
    body=Body.EVENTS,
)
HEALTH = Endpoint("health", "GET", "/api/health", "Whether this server is well", None, Health, PUBLIC)
SPEC = Endpoint("spec", "GET", "/api/spec", "This table as OpenAPI 3.1", None, dict[str, Any], PUBLIC)
CREATE_TOKEN = Endpoint(
    "createToken",
    "POST",
    "/api/tokens",
    "Make a token",
    TokenRequest,
    TokenCreated,
    ADMINS,
    status=201,
)
LIST_TOKENS = Endpoint(
    "listTokens", "GET", "/api/tokens", "Tokens, without their secrets", None, list[Token], ADMINS
)
REVOKE_TOKEN = Endpoint("revokeToken", "DELETE", "/api/tokens/{name}", "Revoke a token", None, Token, ADMINS)

ENDPOINTS: tuple[Endpoint[Any], ...] = (
    REGISTER,
    LIST_HOSTS,
    GET_HOST,
    DELETE_HOST,
    HEARTBEAT,
    PUT_ROSTER,
    POST_REPORTS,
    COMMANDS,
    ACK_COMMAND,
    ACT,
    UPLOAD_STREAM,
    SPAWN,
    LIST_AGENTS,
    GET_AGENT,
    FORGET_AGENT,
    STOP_AGENT,
    SIGNAL_AGENT,
    SEND_INPUT,
    RESIZE_AGENT,
    OPEN_AGENT,
    REPORT_WINDOW,
    WINDOW_GONE,
    SEND_TO_AGENT,
    INTERRUPT_AGENT,
    CHANGE_AGENT,
    REPORT_HOOK,
    LIST_APPROVALS,
    GET_APPROVAL,
    ANSWER_APPROVAL,
    GET_SCREEN,
    ATTACH,
    ATTACH_STREAM,
    READ_OUTPUT,
    EVENTS,
    HEALTH,
    SPEC,
    CREATE_TOKEN,
    LIST_TOKENS,
    REVOKE_TOKEN,
)
