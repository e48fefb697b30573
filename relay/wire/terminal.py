"""What is said about an agent's terminal: its screen, what is typed into it, and the socket of a viewer.

The attach socket (WebSocket) carries, in both directions, binary messages (bytes for the viewer's
terminal, keys for the agent's) and text messages (JSON, tagged by `kind`): `Resize` goes to the agent,
the other notices come from it. After `Ended` or `Refused` the server closes the socket with 1000.

What refuses a viewer before anything was sent is an HTTP error instead of a socket. A viewer connects
again, for the same agent and with the size it has then, after

- an HTTP error or a `Refused` whose code is in `TRY_AGAIN`: the host is away, or slow to answer,
- a close with a code that is not in `duplex.FINAL_CLOSES`: 1012 when relay or daemon end or restart, 1013
  when the line between relay and host broke, 1006 (seen, never sent) when the viewer's own did.

It gets the present screen then; keys that were on their way when a line broke may be lost, and nothing
says which. Every other error is final.
"""

from __future__ import annotations

import enum

from relay.wire.agents import ManagedAgent
from relay.wire.base import Wire
from relay.wire.errors import Code, ErrorDetail

__all__ = [
    "MAX_ATTACH_MESSAGE",
    "TRY_AGAIN",
    "AttachQuery",
    "Attached",
    "Ended",
    "Notice",
    "OpenRequest",
    "OpenResult",
    "Receipt",
    "Refused",
    "Resize",
    "ResizeRequest",
    "ScreenFormat",
    "ScreenQuery",
    "ScreenResult",
    "SendRequest",
    "SendResult",
    "Sized",
]

MAX_ATTACH_MESSAGE = 256 * 1024
"""Bytes in one message of an attach socket; longer input is sent in pieces."""

TRY_AGAIN = frozenset({Code.HOST_OFFLINE, Code.UNAVAILABLE, Code.TIMEOUT, Code.RATE_LIMITED})
"""Codes of refusals that end by themselves."""


class ResizeRequest(Wire, frozen=True, kw_only=True):
    """Give an agent's terminal another size, as long as no viewer that counts is attached."""

    rows: int
    columns: int


class OpenRequest(Wire, frozen=True, kw_only=True):
    """Bring an agent's window to the front, or open one; with `new` another one in any case.

    `terminal`, `tab` and `desktop` are as in a spawn.
    """

    terminal: str | None = None
    tab: bool = False
    new: bool = False
    desktop: dict[str, str] = {}


class OpenResult(Wire, frozen=True, kw_only=True):
    """`action` is `opened` or `focused`; the agent's `window` is that one. `notice` tells of another that
    stays open beside it, and does not count any more."""

    agent: ManagedAgent
    action: str
    notice: str = ""


class Receipt(enum.StrEnum):
    """What is known of a message after it was typed. Nothing is ever sent again by itself.

    `submitted`: there is evidence that the program took it. `typed`: it is in the program's input,
    nothing shows that it was submitted. `unknown`: neither can be told, or only part of it went in.
    `queued`: a headless conversation works on a turn, and what was sent begins the next one.
    """

    SUBMITTED = "submitted"
    TYPED = "typed"
    UNKNOWN = "unknown"
    QUEUED = "queued"


class SendRequest(Wire, frozen=True, kw_only=True):
    """One message for a program in a terminal: `text`, or `keys` by name (`Enter`, `C-c`, `Up`, `F5`).

    A headless conversation takes `text` alone, and `timeoutMs` bounds the wait for its turn to begin.
    `text` is pasted, as bracketed paste where the program asked for that, then submitted unless
    `submit` is false. While a person types, it waits up to `waitMs` for its turn. `timeoutMs` bounds
    the typing and the look for evidence. `force` also types into a prompt that asks for an approval.
    """

    text: str | None = None
    keys: list[str] = []
    submit: bool = True
    force: bool = False
    wait_ms: int = 10_000
    timeout_ms: int = 10_000


class SendResult(Wire, frozen=True, kw_only=True):
    """`evidence` says what the receipt rests on, `waitedMs` how long a person was given way,
    `lastLine` what stood at the cursor in the end."""

    receipt: Receipt
    evidence: str
    waited_ms: int = 0
    bytes: int = 0
    last_line: str = ""


class ScreenFormat(enum.StrEnum):
    TEXT = "text"
    ANSI = "ansi"
    HTML = "html"


class ScreenQuery(Wire, frozen=True, kw_only=True):
    format: ScreenFormat = ScreenFormat.TEXT


class ScreenResult(Wire, frozen=True, kw_only=True):
    """The screen as the output up to `offset` has left it; `content` is in the format asked for.

    Rows and columns of the cursor count from 0. `engine` is the emulator that was used.
    """

    agent_id: str
    rows: int
    columns: int
    cursor_row: int
    cursor_column: int
    cursor_visible: bool
    title: str
    alternate: bool
    offset: int
    format: ScreenFormat
    content: str
    engine: str


class AttachQuery(Wire, frozen=True, kw_only=True):
    """A viewer: the size of its terminal, and who it is.

    A read-only one neither types nor counts for the size of the agent's terminal.
    """

    rows: int
    columns: int
    read_only: bool = False
    viewer: str = ""


class Resize(Wire, frozen=True, kw_only=True, tag_field="kind", tag="resize"):
    """The viewer's terminal has another size now."""

    rows: int
    columns: int


class Attached(Wire, frozen=True, kw_only=True, tag_field="kind", tag="attached"):
    """The first message: the viewer is attached, and the agent's terminal has this size."""

    agent_id: str
    rows: int
    columns: int
    read_only: bool


class Sized(Wire, frozen=True, kw_only=True, tag_field="kind", tag="sized"):
    """The agent's terminal has another size now."""

    rows: int
    columns: int


class Ended(Wire, frozen=True, kw_only=True, tag_field="kind", tag="ended"):
    """The last message: the agent has ended and everything it painted was sent."""

    agent: ManagedAgent | None = None


class Refused(Wire, frozen=True, kw_only=True, tag_field="kind", tag="refused"):
    """The last message: attaching is not possible, or no longer; `error` says why."""

    error: ErrorDetail


Notice = Attached | Sized | Ended | Refused
