"""`muster logs`: what an agent wrote."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.follow import await_start, follow, read
from orchestrator.cli.output import say
from orchestrator.cli.parameters import AgentArg, HostOpt, RelayOpt, takes
from orchestrator.cli.run import STDERR, STDOUT, write_all
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import parse_moment, size
from relay.wire.agents import ManagedAgent, Status
from relay.wire.endpoints import GET_AGENT
from relay.wire.output import Frame, Kind
from relay.wire.queries import OutputQuery

__all__ = ["command", "last_lines"]

FIRST_LOOK = 64 * 1024
"""Bytes asked for at first to find the last lines in; four times as many when they hold too few."""


class Stream(enum.StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, kw_only=True)
class Options:
    agent: AgentArg
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended.")] = False
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", metavar="N", min=0, help="Only the last N lines.")
    ] = None
    stream: Annotated[Stream | None, typer.Option(help="Only this one. Default: both, merged.")] = None
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Only what came since: 5m ago, 10:30, or a date and time.")
    ] = None
    offset: Annotated[int | None, typer.Option(min=0, help="From this byte of all its output.")] = None
    raw: Annotated[
        bool, typer.Option("--raw", help="Of a terminal the bytes as they are, not readable text.")
    ] = False
    relay_wide: RelayOpt = False
    host: HostOpt = None


@takes(Options)
def command(ctx: typer.Context, options: Options) -> None:
    """Print an agent's output: its stdout on stdout and its stderr on stderr, byte for byte.

    Of an agent in a terminal it prints what could be read there, without escape codes; with -f a line
    when it has settled.
    """
    if options.offset is not None and (options.tail is not None or options.since is not None):
        raise typer.BadParameter("give --offset, or --tail and --since, not both")
    since_ms = _since(options.since)
    with connect(relay=options.relay_wide or options.host is not None) as server:
        found = server.call(GET_AGENT, path={"id": options.agent})
        if found.mode.on_pty and not options.raw:
            _print_lines(server, found, options, since_ms)
            return
        agent_id = found.id
        position = options.offset or 0
        if since_ms is not None:
            position = _print(_since_then(server, agent_id, since_ms, options), options.stream, position)
        elif options.tail is not None:
            position = _print(
                last_lines(server, agent_id, options.tail, options.stream), options.stream, position
            )
        elif not options.follow_on:
            _print(read(server, agent_id, OutputQuery(offset=position)), options.stream, position)
        if options.follow_on:
            if found.status is Status.QUEUED:
                await_start(server, agent_id)
            _print(follow(server, agent_id, position), options.stream, position)


def _since(text: str | None) -> int | None:
    try:
        return None if text is None else parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _print_lines(server: Server, agent: ManagedAgent, options: Options, since_ms: int | None) -> None:
    if options.offset is not None or options.stream is not None:
        raise typer.BadParameter(f"{agent.id} has a terminal: --offset and --stream need --raw with it")
    from orchestrator.cli.text import lines, lines_as_they_settle

    if options.follow_on and agent.status is Status.QUEUED:
        await_start(server, agent.id)
    source = lines_as_they_settle if options.follow_on else lines
    for line in source(server, agent, since_ms=since_ms, tail=options.tail):
        print(line, flush=options.follow_on)


def _since_then(server: Server, agent_id: str, since_ms: int, options: Options) -> Iterator[Frame]:
    """Return what was written from that time on, at most the last lines that were asked for."""
    frames = list(read(server, agent_id, OutputQuery(timed=True)))
    at_ms, first = 0, len(frames) - 1
    for number, frame in enumerate(frames):
        at_ms = frame.at_ms if frame.kind is Kind.TIME else at_ms
        if frame.kind in (Kind.STDOUT, Kind.STDERR, Kind.PTY) and at_ms >= since_ms:
            first = number
            break
    kept = [frame for frame in frames[first:] if frame.kind not in (Kind.TIME, Kind.SIZE)]
    return iter(kept if options.tail is None else _cut(kept, options.tail, options.stream)[0])


def _print(frames: Iterator[Frame], stream: Stream | None, position: int) -> int:
    """Write what is wanted of `frames` and return the offset behind the last of them."""
    for frame in frames:
        if frame.kind is Kind.GAP:
            say(f"{size(frame.end - frame.offset)} of output are gone: the agent wrote more than is kept")
        elif frame.data and _wanted(frame, stream):
            write_all(STDERR if frame.kind is Kind.STDERR else STDOUT, frame.data)
        if frame.kind not in (Kind.END, Kind.PAUSE, Kind.IDLE):
            position = frame.end
        elif frame.offset > position:
            position = frame.offset
    return position


def _wanted(frame: Frame, stream: Stream | None) -> bool:
    if frame.kind in (Kind.GAP, Kind.END, Kind.PAUSE, Kind.IDLE):
        return False
    return stream is None or (frame.kind is Kind.STDERR) == (stream is Stream.STDERR)


def last_lines(server: Server, agent_id: str, lines: int, stream: Stream | None) -> Iterator[Frame]:
    """Return the frames of the last `lines` lines as written by now, then the closing frame.

    A line that has no end yet counts as one. Only as many bytes are read as these lines need.
    """
    look = FIRST_LOOK
    while True:
        frames = list(read(server, agent_id, OutputQuery(tail=look)))
        held = sum(len(frame.data) for frame in frames if frame.kind is not Kind.GAP)
        kept, found = _cut(frames, lines, stream)
        if found or held < look:
            return iter(kept)
        look *= 4


def _cut(frames: list[Frame], lines: int, stream: Stream | None) -> tuple[list[Frame], bool]:
    """Return the frames from where the last `lines` lines begin, and whether that place was found."""
    wanted = [index for index, frame in enumerate(frames) if frame.data and _wanted(frame, stream)]
    left = lines
    if wanted and not frames[wanted[-1]].data.endswith(b"\n"):
        left -= 1
    for index in reversed(wanted):
        data = frames[index].data
        end = len(data)
        while (position := data.rfind(b"\n", 0, end)) >= 0:
            if left == 0 or lines == 0:
                return [_behind(frames[index], position + 1), *frames[index + 1 :]], True
            left -= 1
            end = position
    return (frames, False) if lines else (frames[-1:], True)


def _behind(frame: Frame, start: int) -> Frame:
    return Frame(frame.offset + start, frame.kind, frame.data[start:])
