"""Native windows: what is known of an agent's, and what a window and its host say to each other."""

from __future__ import annotations

import enum

from relay.wire.base import Wire

__all__ = [
    "Answer",
    "DesktopInfo",
    "TerminalInfo",
    "Window",
    "WindowAnswer",
    "WindowGone",
    "WindowReport",
    "WindowState",
]


class WindowState(enum.StrEnum):
    """`opening`: it has not reported in yet. `failed`: none could be opened; `reason` says why."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


class Window(Wire, frozen=True, kw_only=True):
    """The newest native window of an agent. It is a viewer: `pid` and `tty` are its own, never the agent's.

    `reason` says why it is closed, why there is none, or why it is not in the terminal that was wanted.
    `hold` is when it stays after the agent has ended (`always`, `error`, `never`), `onClose` what becomes of
    the agent when somebody closes the last one (`detach`, `stop`). `shownBy` is the command that shows one
    which waits in a multiplexer.
    """

    id: str
    terminal: str = ""
    state: WindowState = WindowState.OPENING
    pid: int | None = None
    tty: str | None = None
    opened_at: int | None = None
    closed_at: int | None = None
    reason: str | None = None
    shown_by: str | None = None
    hold: str = "error"
    on_close: str = "detach"

    @property
    def is_open(self) -> bool:
        return self.state is WindowState.OPEN


class TerminalInfo(Wire, frozen=True, kw_only=True):
    """A terminal that is installed on a host: whether it opens tabs, and can bring a window to the front on
    the desktop as it is now."""

    name: str
    path: str
    tabs: bool = False
    focuses: bool = False


class DesktopInfo(Wire, frozen=True, kw_only=True):
    """A host's graphical session as it was found: `kind` is `x11`, `wayland` or `desktop`, empty for none;
    `problem` says why there is none."""

    kind: str = ""
    source: str = ""
    problem: str = ""


class WindowReport(Wire, frozen=True, kw_only=True):
    """What the program in a window says once it runs. `token` was given to it alone; `started` is its own
    start time as its system counts it, so that nobody takes another process of that number for it. `handles`
    are the variables by which its terminal knows the window; its host keeps them for itself."""

    token: str
    pid: int
    started: int
    tty: str = ""
    rows: int = 0
    columns: int = 0
    handles: dict[str, str] = {}


class Answer(enum.StrEnum):
    """`go`: attach. `wait`: ask again. `void`: the try was given up, close. `failed`: the program could not
    be started, say `reason` and hold."""

    GO = "go"
    WAIT = "wait"
    VOID = "void"
    FAILED = "failed"


class WindowAnswer(Wire, frozen=True, kw_only=True):
    answer: Answer
    agent_id: str = ""
    hold: str = "error"
    reason: str = ""


class WindowGone(Wire, frozen=True, kw_only=True):
    """Its last words. `why` is `closed` (its terminal went away), `detached` (by keys) or `ended`."""

    token: str
    why: str
