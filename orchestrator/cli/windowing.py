"""The life of a native window: it reports in, waits for its agent, shows it, says how it ended, and goes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from orchestrator.cli.attaching import VERDICT_S, Look, Seen, see
from orchestrator.cli.failures import CliError
from orchestrator.cli.follow import await_status
from orchestrator.cli.output import say
from orchestrator.cli.target import connect, daemon_answers, daemon_client
from orchestrator.cli.verdict import spoken, what_follows
from orchestrator.cli.viewer.finding import find_by_files, has_terminal_here, runs_here
from orchestrator.cli.words import plain
from orchestrator.config import Config, ConfigError
from orchestrator.windows.farewell import CLOSED, DETACHED, ENDED, Farewells
from orchestrator.windows.presence import Presence
from orchestrator.windows.scripts import AGENT, HANDLES, TOKEN
from relay.wire.agents import ManagedAgent, Status
from relay.wire.client import Unreachable
from relay.wire.endpoints import GET_AGENT, GET_SCREEN, REPORT_WINDOW, WINDOW_GONE
from relay.wire.errors import ApiError, Code
from relay.wire.home import Home
from relay.wire.terminal import ScreenFormat, ScreenQuery
from relay.wire.windows import Answer, WindowAnswer, WindowGone, WindowReport
from spawners import _os

__all__ = ["run", "wait_for_enter"]

ANSWER_S = 60.0
"""More than twice what the daemon takes to say that it does not know yet."""
AGAIN_S = 0.2
BACK_S = 10.0
"""A daemon that has crashed is back within that, and is to know of this window."""
DAEMON_AWAY_S = 60.0
GONE_S = 3.0
SIZE_S = 0.2
"""Some terminals execute what runs in them before they have laid out the window."""
TITLE_MAX = 80
NO_DAEMON = (
    "the daemon of this host has ended while this window waited, and has not come back; "
    "`muster up` starts it, and `muster ps --all` says what has become of the agent"
)


def run(window_id: str) -> None:
    """Live it to its end."""
    _os.take_console()
    token = os.environ.pop(TOKEN, "")
    handles = {
        name: os.environ[name] for name in os.environ.pop(HANDLES, "").split(",") if name in os.environ
    }
    window = _Window(window_id, token, os.environ.pop(AGENT, ""))
    if hasattr(signal, "SIGHUP"):  # it may be closed before it has attached
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    else:  # while no view listens
        _os.on_told_to_end(window.closed)
    try:
        window.live(handles)
    except KeyboardInterrupt:
        _ignore_hangups()
        window.leave(CLOSED)


class _Window:
    def __init__(self, window_id: str, token: str, agent_id: str) -> None:
        self._id = window_id
        self._token = token
        self._agent_id = agent_id
        self._home = Home.from_environment()
        self._hold = "error"
        self._presence = Presence(self._home)
        self._lock: int | None = None

    def live(self, handles: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # then only its process tells that it is there
            self._lock = self._presence.hold(self._id)
        answer = self._admitted(self._report(handles))
        self._hold = answer.hold
        if answer.answer is Answer.VOID:
            say(answer.reason or "this window is not wanted any more")
            self.leave(CLOSED)
            return
        if answer.answer is Answer.FAILED:
            if self._hold != "never":
                _os.name_window(self._agent_id)
                wait_for_enter(answer.reason)
            self.leave(ENDED)
            return
        self._show()

    def closed(self, _: int) -> None:
        """The console is being closed, which interrupts nothing: say so from here, and end."""
        self.leave(CLOSED)
        os._exit(0)

    # -- reporting

    def _report(self, handles: dict[str, str]) -> WindowReport:
        rows, columns = _size()
        process = _os.process(os.getpid())
        return WindowReport(
            token=self._token,
            pid=os.getpid(),
            started=process.started if process else 0,
            tty=_tty(),
            rows=rows,
            columns=columns,
            handles=handles,
        )

    def _admitted(self, report: WindowReport) -> WindowAnswer:
        """Report until it is known what to do; what runs already is shown also where no daemon comes back."""
        away_since: float | None = None
        while True:
            try:
                with contextlib.closing(daemon_client(self._home)) as client:
                    answer = client.call(REPORT_WINDOW, report, path={"id": self._id}, timeout_s=ANSWER_S)
            except ApiError as error:
                return WindowAnswer(answer=Answer.FAILED, reason=str(error))
            except Unreachable:
                away_since = away_since or time.monotonic()
                away = time.monotonic() - away_since
                if away > BACK_S and runs_here(self._home, self._agent_id):
                    return WindowAnswer(answer=Answer.GO, agent_id=self._agent_id)
                if away > DAEMON_AWAY_S:
                    return WindowAnswer(answer=Answer.FAILED, reason=NO_DAEMON)
                time.sleep(AGAIN_S)
                continue
            if answer.answer is not Answer.WAIT:
                return answer
            away_since = None

    def leave(self, why: str) -> None:
        """Say why this window goes; to the next daemon if there is none now."""
        self._say(why)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            self._presence.remove(self._id)

    def _say(self, why: str) -> None:
        try:
            with contextlib.closing(daemon_client(self._home)) as client:
                body = WindowGone(token=self._token, why=why)
                client.call(WINDOW_GONE, body, path={"id": self._id}, timeout_s=GONE_S)
        except Unreachable:
            with contextlib.suppress(OSError):
                Farewells(self._home).leave(self._id, why)
        except ApiError:
            return

    # -- showing

    def _show(self) -> None:
        try:
            look = self._look()
            _name(look.agent)
            if look.agent.cwd:
                with contextlib.suppress(OSError):
                    os.chdir(look.agent.cwd)
            seen = self._seen(look)
        except (ApiError, CliError, ConfigError) as error:
            forgotten = isinstance(error, ApiError) and error.code is Code.NOT_FOUND
            if self._hold != "never" and not forgotten:
                wait_for_enter(str(error))
            self.leave(ENDED)
            return
        if seen.signal or not _is_there():
            _ignore_hangups()
            self.leave(CLOSED)
        elif not seen.ended:
            self.leave(DETACHED)
        else:
            self._end(look, seen.agent)

    def _seen(self, look: Look) -> Seen:
        """Show it. A quick program may end before its window could attach: it has ended like any other.

        Raises `ApiError` and `CliError` for one that runs on and cannot be shown.
        """
        if look.agent.ended:
            return Seen(True, look.agent)
        trouble: Exception | None = None
        if has_terminal_here(self._home, self._agent_id):
            try:
                return see(look)
            except (ApiError, CliError) as error:
                trouble = error
        agent = None
        if look.server is not None:
            agent = await_status(look.server, self._agent_id, "ended", time.monotonic() + VERDICT_S)
        if agent is None and trouble is not None:
            raise trouble
        return Seen(True, agent)

    def _look(self) -> Look:
        """The agent as the daemon knows it, or as its files tell: what runs needs no daemon to be shown.
        Whoever closes a window needs no hint how to detach."""
        keys = Config.load(self._home).terminal.detach_keys
        try:
            server = connect()
            agent = server.call(GET_AGENT, path={"id": self._agent_id})
            return Look(self._home, agent, server, keys, hinted=False)
        except (ApiError, Unreachable):
            return Look(self._home, find_by_files(self._home, self._agent_id), None, keys, hinted=False)

    def _end(self, look: Look, agent: ManagedAgent | None) -> None:
        if self._holds(agent):
            self._paint_last(look)
            wait_for_enter("its end is not known here" if agent is None else _verdict(agent))
        self.leave(ENDED)

    def _holds(self, agent: ManagedAgent | None) -> bool:
        """Whether somebody should read how it ended. After a stop nobody needs to, nor if another follows."""
        if agent is not None and (agent.status is Status.CANCELLED or what_follows(agent)):
            return False
        failed = agent is None or agent.status is not Status.SUCCEEDED
        return self._hold == "always" or (self._hold == "error" and failed)

    def _paint_last(self, look: Look) -> None:
        """Print what the agent has shown last: its own screen is gone with it."""
        if look.server is None and not daemon_answers(self._home):
            return
        query = ScreenQuery(format=ScreenFormat.ANSI)
        with contextlib.suppress(ApiError, Unreachable):
            shown = (look.server or connect()).call(GET_SCREEN, path={"id": look.agent.id}, query=query)
            sys.stdout.write(shown.content.rstrip() + "\x1b[0m\r\n")
            sys.stdout.flush()


def _verdict(agent: ManagedAgent) -> str:
    said = spoken(agent)
    code = agent.cause.exit_code if agent.cause else None
    return said or ("ended" if code is None else f"exit {code}")


def wait_for_enter(words: str) -> None:
    """Say it, and return once somebody has pressed Enter or the terminal is gone. What was typed before is
    dropped: it was meant for the agent."""
    _os.drop_typed()
    sys.stdout.write(f"\r\n{plain(words)} - Enter closes\r\n")
    sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stdin.buffer.readline()


def _name(agent: ManagedAgent) -> None:
    """Give the window its title."""
    what = plain(agent.label or agent.title)[:TITLE_MAX]
    _os.name_window(f"{what} - {agent.id}" if what else agent.id)


def _size() -> tuple[int, int]:
    """Return rows and columns, 0 if the terminal does not tell."""
    deadline = time.monotonic() + SIZE_S
    while True:
        try:
            columns, rows = os.get_terminal_size(1)  # a console's input has none
        except OSError:
            return 0, 0
        if (columns and rows) or time.monotonic() > deadline:
            return rows, columns
        time.sleep(0.01)


def _tty() -> str:
    name = getattr(os, "ttyname", None)
    with contextlib.suppress(OSError):
        return name(0) if name else ""
    return ""


def _is_there() -> bool:
    """Whether the window still is: the terminal of one that was closed answers nothing any more."""
    try:
        os.get_terminal_size(1)
    except OSError:  # which is all that a closed console tells
        return False
    return os.isatty(0)


def _ignore_hangups() -> None:
    """Some terminals send several."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
