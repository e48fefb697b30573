"""What `muster run` exits with: the agent's own code where it has one, else what a shell would say."""

from __future__ import annotations

import errno
import os

from orchestrator.cli.failures import Exit
from orchestrator.cli.output import say
from orchestrator.cli.words import because, signal_name
from relay.wire.agents import CauseKind, ManagedAgent, Status
from relay.wire.errors import ApiError, Code
from relay.wire.windows import Window, WindowState

__all__ = ["exec_exit", "exit_status", "say_of_window", "spoken", "what_follows"]


def exit_status(agent: ManagedAgent) -> int:
    """Return the exit status for an agent that has ended.

    Its own code; 128 + the signal that killed it; 124 after a timeout; 127 or 126 for a program
    that could not be executed; 1 for everything that is nobody's exit (lost, rejected, disk).
    """
    cause = agent.cause
    if agent.status is Status.TIMEOUT:
        return Exit.TIMEOUT
    if cause is not None and cause.kind is CauseKind.EXEC_FAILED:
        return exec_exit(cause.errno)
    if agent.status in (Status.LOST, Status.REJECTED):
        return Exit.FAILED
    end = agent.exit
    code = cause.exit_code if cause and cause.exit_code is not None else end.exit_code if end else None
    number = cause.signal if cause and cause.signal is not None else end.signal if end else None
    if number is not None:
        return 128 + number
    if agent.status is Status.SUCCEEDED:
        return Exit.OK
    return code if code else Exit.FAILED


def exec_exit(number: object) -> int:
    """Return what a shell exits with when exec fails with this errno."""
    return Exit.NO_PROGRAM if number == errno.ENOENT else Exit.NOT_EXECUTABLE


def spawn_exit(error: ApiError) -> int | None:
    """Return the exit of a spawn that was refused because exec failed, or None for other refusals."""
    return exec_exit(error.details.get("errno")) if error.code is Code.SPAWN_FAILED else None


def spoken(agent: ManagedAgent) -> str | None:
    """Return what is to be said about an ending that is more than an exit code."""
    cause = agent.cause
    if cause is None or (cause.kind is CauseKind.EXIT and agent.error is None):
        return None
    if cause.kind is CauseKind.SIGNAL and cause.signal is not None:
        return f"{agent.id} was killed by {signal_name(cause.signal)}"
    return f"{agent.id} {agent.status}: {because(cause)}"


def what_follows(agent: ManagedAgent) -> str | None:
    """Return what is to be said about another agent in the place of one that has ended."""
    if agent.restarted_as is not None:
        return f"{agent.id} was followed by {agent.restarted_as}"
    if agent.restart_at is not None:
        return f"{agent.id}: {agent.reason}" if agent.reason else f"{agent.id} is going to be started again"
    return None


def say_of_window(agent: ManagedAgent) -> None:
    """Tell whoever asked for a window that there is none, and how to see the agent all the same, that it is
    not where it was wanted, or that nobody sees it there yet."""
    window = agent.window
    if window is None:
        return
    if window.state is WindowState.FAILED and not agent.ended:
        say(f"{window.reason}; {agent.id} runs without one: `muster attach {agent.id}` shows it")
    elif window.is_open:
        command = _attaching(window)
        told = (window.reason, f"`{command}` shows it" if command else None)
        if any(told):
            say(f"the window of {agent.id} is in {window.terminal}, {'; '.join(filter(None, told))}")


def _attaching(window: Window) -> str:
    """Return what shows a window that waits in a multiplexer; empty for one that is seen from here."""
    from spawners.terminals.multiplexers import attaching

    command = window.shown_by or ""
    return "" if command == attaching(os.environ) else command
