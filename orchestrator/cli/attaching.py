"""Showing an agent's terminal on the person's own: what `attach`, `run` and `spawn --attach` do."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import sys
import time
from dataclasses import dataclass, replace

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.follow import await_start, await_status
from orchestrator.cli.output import say
from orchestrator.cli.target import Server, daemon_answers
from orchestrator.cli.verdict import exit_status, spoken
from orchestrator.cli.viewer.finding import has_terminal_here
from orchestrator.cli.viewer.source import Source
from orchestrator.cli.words import plain
from orchestrator.detach_keys import parse_keys
from relay.wire.agents import ManagedAgent, Status
from relay.wire.client import Unreachable
from relay.wire.errors import ApiError
from relay.wire.home import Home
from relay.wire.terminal import AttachQuery
from spawners.errors import SessionEnded, SpawnerError
from spawners.launch import Exit as ProgramExit
from spawners.launch import Size, Viewer

__all__ = ["VERDICT_S", "Look", "Seen", "attach", "check_terminal", "own_size", "see"]

VERDICT_S = 5.0
"""For the daemon to write down the end that the keeper has told us already."""


@dataclass(frozen=True, slots=True)
class Look:
    """What to attach to and how. `server` None: there is none, only the keeper; `relayed`: not directly
    even if it is here; `hinted`: it is said first how to detach."""

    home: Home
    agent: ManagedAgent
    server: Server | None
    keys_text: str
    read_only: bool = False
    relayed: bool = False
    hinted: bool = True

    @property
    def keys(self) -> bytes:
        """Raises `CliError` for what cannot be detach keys."""
        try:
            return parse_keys(self.keys_text)
        except ValueError as error:
            raise CliError(str(error), Exit.USAGE) from None

    @property
    def here(self) -> bool:
        return not self.relayed and has_terminal_here(self.home, self.agent.id)


def check_terminal() -> None:
    """Raise `CliError` unless stdin and stdout are a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError(
            "attaching takes a terminal: stdin and stdout must be one; --read-only prints without, "
            "`muster screen` prints once, and `muster send` types",
            Exit.USAGE,
        )


def own_size() -> Size:
    """The size of the terminal behind stdout."""
    columns, rows = os.get_terminal_size(1)  # a console's input has none
    return Size(rows, columns) if Size(rows, columns).valid else Size()


@dataclass(frozen=True, slots=True)
class Seen:
    """How a look has ended. `agent` is the agent with its end, None if that is not known here; `signal` is
    what has ended this process' part. Neither: the person has detached, or their terminal is gone."""

    ended: bool = False
    agent: ManagedAgent | None = None
    signal: int = 0


def attach(look: Look, *, prints: bool = False) -> int:
    """Show the agent until it ends or the person detaches; return what to exit with.

    With `prints` the bytes go to stdout, which need not be a terminal, and nothing is read.
    """
    look = _ready(look)
    seen = see(look, prints=prints)
    if seen.signal:
        return 128 + seen.signal
    if not seen.ended:
        say(f"detached from {look.agent.id}, which runs on; `muster attach {look.agent.id}` comes back")
        return Exit.OK
    if seen.agent is None:
        raise CliError(f"{look.agent.id} has ended; how is not known here: `muster doctor`")
    said = spoken(seen.agent)
    if said:
        say(said)
    return exit_status(seen.agent)


def see(look: Look, *, prints: bool = False) -> Seen:
    """Show a running agent, as `attach` does, and return how that ended. Raises `CliError`."""
    from orchestrator.cli.viewer.view import Signalled

    viewing = _Viewing(look, prints=prints)
    try:
        ended = asyncio.run(viewing.run())
    except Signalled as signalled:
        return Seen(signal=signalled.number)
    except SessionEnded:
        ended = True
    except SpawnerError as error:
        raise CliError(str(error)) from error
    return Seen(ended, _final(look, viewing) if ended else None)


def _ready(look: Look) -> Look:
    """Wait for one that has not started yet, and refuse one that has no terminal or has ended."""
    agent = look.agent
    if look.server is not None and agent.status in (Status.QUEUED, Status.STARTING):
        await_start(look.server, agent.id)
        agent = await_status(look.server, agent.id, "running") or agent
    if not agent.mode.on_pty:
        raise CliError(
            f"{agent.id} is {agent.mode} and has no terminal; `muster logs -f {agent.id}` follows its output",
            Exit.USAGE,
        )
    if agent.ended:
        raise CliError(
            f"{agent.id} has ended ({agent.status}); `muster logs {agent.id}` shows what it wrote, "
            f"`muster screen {agent.id}` its last screen"
        )
    return replace(look, agent=agent)


class _Viewing:
    """One attach of this process; afterwards it knows how the agent has ended, if that was said."""

    def __init__(self, look: Look, *, prints: bool) -> None:
        self._look = look
        self._prints = prints
        self.agent: ManagedAgent | None = None
        self.exit: ProgramExit | None = None

    async def run(self) -> bool:
        """Return whether the agent has ended. Raises `Signalled` and what goes wrong on the line."""
        from orchestrator.cli.viewer.printing import output_size, print_all
        from orchestrator.cli.viewer.terminal import Terminal
        from orchestrator.cli.viewer.view import view

        if self._prints:
            own = output_size()
            source = await self._open(own or _size(self._look.agent))
            ended = await print_all(source, own=own is not None)
        else:
            try:
                terminal = Terminal.open()
            except OSError as error:
                raise CliError(f"cannot use this terminal: {error}", Exit.USAGE) from None
            size = terminal.size
            source = await self._open(size)
            keys, read_only = self._look.keys, self._look.read_only
            hint = self._hint() if self._look.hinted else ""
            ended = await view(terminal, source, size, keys=keys, read_only=read_only, hint=hint)
        self.agent, self.exit = getattr(source, "ended", None), getattr(source, "exit", None)
        return ended

    def _hint(self) -> str:
        label = f" ({plain(self._look.agent.label)})" if self._look.agent.label else ""
        ways = ["read-only"] * self._look.read_only
        ways += [f"{self._look.keys_text} detaches" if self._look.keys else "no key detaches"]
        return f"attached to {self._look.agent.id}{label}; {'; '.join(ways)}\r\n"

    async def _open(self, size: Size) -> Source:
        if self._look.here:
            return await self._open_keeper(size)
        return await self._open_socket(size)

    async def _open_keeper(self, size: Size) -> Source:
        from spawners.attach import Attachment

        directory = os.path.join(self._look.home.agents, self._look.agent.id)
        viewer = Viewer(_name(), size, self._look.read_only)
        return await Attachment.open(directory, viewer, responds=True)

    async def _open_socket(self, size: Size) -> Source:
        from orchestrator.cli.viewer.remote import RemoteTerminal
        from relay.wire.endpoints import ATTACH
        from relay.wire.sockets import ClientSocket, SocketClient

        server, agent_id, read_only = self._look.server, self._look.agent.id, self._look.read_only
        if server is None:
            raise SessionEnded("the program has ended")

        async def dial(now: Size) -> ClientSocket:
            query = AttachQuery(rows=now.rows, columns=now.columns, read_only=read_only, viewer=_name())
            return await SocketClient(**server.where).connect(ATTACH, path={"id": agent_id}, query=query)

        remote = RemoteTerminal(dial, lambda: asyncio.to_thread(server.come_back), size)
        await remote.open()
        return remote


def _size(agent: ManagedAgent) -> Size:
    size = agent.size or {}
    return Size(**size) if set(size) == {"rows", "columns"} else Size()


def _name() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _final(look: Look, viewing: _Viewing) -> ManagedAgent | None:
    agent = viewing.agent
    return agent if agent is not None and agent.ended else _verdict(look, viewing.exit)


def _verdict(look: Look, ended: ProgramExit | None) -> ManagedAgent | None:
    """The agent as its host has recorded its end, else by what its keeper said alone."""
    if look.server is not None and (look.server.kind == "relay" or daemon_answers(look.home)):
        try:
            agent = await_status(look.server, look.agent.id, "ended", time.monotonic() + VERDICT_S)
        except (ApiError, Unreachable):
            agent = None
        if agent is not None:
            return agent
    if ended is None:
        return None
    import msgspec

    from orchestrator.agents.verdict import of_exit

    verdict = of_exit(ended, stop=None, timeout_ms=look.agent.timeout_ms, tail="")
    return msgspec.structs.replace(look.agent, status=verdict.status, cause=verdict.cause, exit=verdict.exit)
