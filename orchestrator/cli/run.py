"""`muster run`: an agent as if it ran here: its output, its exit code, and ^C."""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Annotated, Literal

import typer

from orchestrator.cli.failures import explain
from orchestrator.cli.follow import await_start, await_status, follow
from orchestrator.cli.output import say
from orchestrator.cli.parameters import takes
from orchestrator.cli.pump import pump_stdin
from orchestrator.cli.spawn_options import SpawnOptions
from orchestrator.cli.spawning import build_request, open_server, submit
from orchestrator.cli.target import Server
from orchestrator.cli.verdict import exit_status, say_of_window, spawn_exit, spoken, what_follows
from orchestrator.cli.words import size
from relay.wire.agents import ManagedAgent, Mode, SpawnRequest, Status
from relay.wire.client import Unreachable
from relay.wire.endpoints import STOP_AGENT
from relay.wire.errors import ApiError
from relay.wire.output import Kind
from relay.wire.steering import StopRequest
from relay.wire.windows import WindowState
from spawners._os import on_told_to_end

__all__ = ["command", "write_all"]

STDOUT, STDERR = 1, 2
CLOSED_PIPE = 141
"""128 + SIGPIPE: what a program exits with whose reader went away."""


@dataclass(frozen=True, slots=True)
class _Event:
    kind: Literal["signal", "spawned", "closed", "ended", "failed"]
    number: int = 0
    agent: ManagedAgent | None = None
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class Options(SpawnOptions):
    raw: Annotated[
        bool, typer.Option("--raw", help="Of a provider: its stream as it comes, not the answer in the end.")
    ] = False


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Run an agent and follow it: its output, its exit code; ^C stops it.

    Of a provider's headless run, stdout is the answer in the end; of all else, the output as it comes.
    Takes what `spawn` takes. In a terminal, `--mode embedded` attaches to it as `muster attach` does:
    detaching leaves it running. With `--mode terminal` the output is in the window. The stdin of a headless
    one is closed unless --stdin gives it one; `--stdin -` sends yours while it runs. Exits 124 after
    --timeout, 128+N when signal N killed it.
    """
    attaches = options.mode == Mode.EMBEDDED and sys.stdin.isatty() and sys.stdout.isatty()
    with open_server(options, ctx.obj) as server:
        if attaches:
            from orchestrator.cli.attaching import Look, attach, own_size

            request = build_request(options, ctx.obj, server, own=own_size())
            agent = submit(server, request).agent
            keys = server.config.terminal.detach_keys
            sys.exit(attach(Look(server.home, agent, server, keys)))
        request = build_request(options, ctx.obj, server, streams_stdin=True)
        run = _Run(server, request, streams_stdin=options.stdin == "-", raw=options.raw)
        code = run.run()
    sys.stdout.flush()
    os._exit(code) if run.abandoned else sys.exit(code)


class _Run:
    """The main thread takes signals and decides; another one follows the agent and reports here."""

    def __init__(self, server: Server, request: SpawnRequest, *, streams_stdin: bool, raw: bool) -> None:
        self._server = server
        self._request = request
        self._streams_stdin = streams_stdin
        self._answers = request.argv is None and not raw
        """Whether it is the answer that counts, and not the words of a protocol."""
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._agent: ManagedAgent | None = None
        self._exit: int | None = None
        self._interrupts = 0
        self.abandoned = False
        """Whether a thread may still be in the middle of something."""

    def run(self) -> int:
        """Return what to exit with, once the agent has ended and all its output is written."""
        on_told_to_end(self._on_signal)
        threading.Thread(target=self._follow, daemon=True).start()
        while True:
            event = self._events.get()
            code = self._take(event)
            if code is not None:
                return code

    def _on_signal(self, number: int) -> None:
        self._events.put(_Event("signal", number=number))

    def _take(self, event: _Event) -> int | None:
        if event.kind == "signal":
            return self._interrupt(128 + event.number)
        if event.kind == "closed":
            return self._interrupt(CLOSED_PIPE)
        if event.kind == "spawned":
            self._agent = event.agent
            if self._interrupts:
                self._stop(kill=self._interrupts > 1)
            elif event.agent:
                self._accompany(event.agent)
            return None
        self.abandoned = self._streams_stdin
        if event.kind == "failed" and event.error is not None:
            return self._fail(event.error)
        assert event.agent is not None
        return self._finish(event.agent)

    def _accompany(self, agent: ManagedAgent) -> None:
        if self._streams_stdin:
            threading.Thread(target=pump_stdin, args=(self._server.twin(), agent.id), daemon=True).start()
        if self._request.argv is not None:  # a command asks nothing
            return
        from orchestrator.cli.answering import answer_along

        on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
        prompts = {"prompts": on_terminal and not self._streams_stdin}
        watched = (self._server.twin(), agent.id)
        threading.Thread(target=answer_along, args=watched, kwargs=prompts, daemon=True).start()

    def _interrupt(self, code: int) -> int | None:
        """Stop the agent; the second time kill it, the third time leave."""
        self._exit = self._exit or code
        self._interrupts += 1
        if self._interrupts > 2:
            self.abandoned = True
            say(f"left; {self._agent.id if self._agent else 'the agent, if it was started,'} may still run")
            return self._exit
        if self._agent is not None:
            self._stop(kill=self._interrupts > 1)
        return None

    def _stop(self, *, kill: bool) -> None:
        assert self._agent is not None
        try:
            with self._server.twin() as server:
                body = StopRequest(kill=kill)
                server.call(STOP_AGENT, body, path={"id": self._agent.id}, timeout_s=10.0)
        except (ApiError, Unreachable) as error:
            say(f"could not stop {self._agent.id}: {error}; ^C again tries harder")

    def _fail(self, error: Exception) -> int:
        code = explain(error)
        refused = spawn_exit(error) if isinstance(error, ApiError) else None
        return self._exit or refused or code

    def _finish(self, agent: ManagedAgent) -> int:
        if self._exit is not None:
            if agent.exit and agent.exit.survivors:
                say(f"{agent.id} was stopped, but these still live: {', '.join(agent.exit.survivors)}")
            return self._exit
        said = spoken(agent)
        for words in (said, what_follows(agent)):
            if words:
                say(words)
        return exit_status(agent)

    def _follow(self) -> None:
        try:
            agent = submit(self._server, self._request).agent
            self._events.put(_Event("spawned", agent=agent))
            if agent.status is Status.QUEUED:
                await_start(self._server, agent.id)
            self._copy(agent)
            ended = await_status(self._server, agent.id, "ended")
            if self._answers and ended is not None and ended.mode is Mode.HEADLESS:
                self._print_answer(ended)
            self._events.put(_Event("ended", agent=ended))
        except Exception as error:  # noqa: BLE001 - the edge of a thread; the main one exits by it
            self._events.put(_Event("failed", error=error))

    def _copy(self, agent: ManagedAgent) -> None:
        if agent.mode is Mode.TERMINAL:
            agent = await_status(self._server, agent.id, "running") or agent
            say_of_window(agent)
            if agent.window is not None and agent.window.state is WindowState.FAILED:
                self._copy_text(agent)
        elif agent.mode is Mode.EMBEDDED:
            self._copy_text(agent)
        elif not self._answers:
            self._copy_bytes(agent.id)

    def _print_answer(self, agent: ManagedAgent) -> None:
        """Print what it has answered; of a run that said nothing in its protocol, all that it wrote."""
        if agent.result is None and agent.error is None and agent.provider_session_id is None:
            self._copy_bytes(agent.id)
        elif agent.result is not None:
            with suppress(BrokenPipeError):
                write_all(STDOUT, agent.result.encode("utf-8", "replace") + b"\n")

    def _copy_text(self, agent: ManagedAgent) -> None:
        from orchestrator.cli.text import lines_as_they_settle

        reader_is_there = True
        for line in lines_as_they_settle(self._server, agent):
            try:
                if reader_is_there:
                    write_all(STDOUT, line.encode("utf-8", "replace") + b"\n")
            except BrokenPipeError:
                reader_is_there = False
                self._events.put(_Event("closed"))

    def _copy_bytes(self, agent_id: str) -> None:
        reader_is_there = True
        for frame in follow(self._server, agent_id):
            if frame.kind is Kind.GAP:
                say(f"{size(frame.end - frame.offset)} of output are gone: the agent wrote more than is kept")
                continue
            try:
                if frame.kind is Kind.STDERR:
                    with suppress(BrokenPipeError):
                        write_all(STDERR, frame.data)
                elif reader_is_there:
                    write_all(STDOUT, frame.data)
            except BrokenPipeError:
                reader_is_there = False
                self._events.put(_Event("closed"))


def write_all(descriptor: int, content: bytes) -> None:
    """Write bytes as they are, also to a pipe that somebody has set non-blocking."""
    data = memoryview(content)
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
