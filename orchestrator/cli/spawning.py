"""What `spawn` and `run` have in common: their options, the request made of them, and asking exactly once."""

from __future__ import annotations

import base64
import os
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.parameters import HostOpt, RelayOpt
from orchestrator.cli.processes import start
from orchestrator.cli.target import Server, connect
from orchestrator.cli.words import parse_duration
from relay.wire.agents import Mode, Placement, SpawnRequest, SpawnResponse
from relay.wire.base import encode
from relay.wire.client import Unreachable
from relay.wire.endpoints import SPAWN
from relay.wire.errors import ApiError, Code

__all__ = ["SpawnOptions", "build_request", "open_server", "submit"]

RETRY_S = 20.0
"""How long a spawn is repeated after a broken connection; a daemon restarts in about a second."""


@dataclass(frozen=True, kw_only=True)
class SpawnOptions:
    """The options of `spawn` and `run`, as typed."""

    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT... | -- ARGV...", help="The prompt (`-` reads stdin), or a command after --."
        ),
    ] = None
    host: HostOpt = None
    relay_wide: RelayOpt = False
    place: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only on hosts with this label. Repeatable."),
    ] = None
    provider: Annotated[
        str | None, typer.Option("--provider", "-p", help="The CLI to run: claude, codex, ...")
    ] = None
    mode: Annotated[str, typer.Option(help="How it runs.")] = "headless"
    cwd: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where it runs. Default: here, or its host's base folder."),
    ] = None
    label: Annotated[str | None, typer.Option(help="A name to call it by.")] = None
    approval: Annotated[str, typer.Option(help="read-only, guarded or open.")] = "guarded"
    model: Annotated[str | None, typer.Option(help="The model, by the provider's name for it.")] = None
    timeout: Annotated[str | None, typer.Option(metavar="S", help="End it after this long (90, 5m, 2h).")] = (
        None
    )
    queue_timeout: Annotated[
        str | None, typer.Option(metavar="S", help="How long it may wait for a host.")
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="K[=V]", help="A variable; without =V your own value. Repeatable."),
    ] = None
    prompt_file: Annotated[str | None, typer.Option(metavar="FILE", help="Read the prompt from here.")] = None
    stdin: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="What a command reads; - is your own stdin.")
    ] = None
    stdin_live: Annotated[
        bool, typer.Option("--stdin-live", help="Keep its stdin open for `muster send`.")
    ] = False
    leftovers: Annotated[
        str, typer.Option(metavar="end|keep", help="What becomes of processes it leaves behind.")
    ] = "end"
    restart: Annotated[str, typer.Option(help="never, on-failure or always.")] = "never"
    worktree: Annotated[str | None, typer.Option(metavar="BRANCH", help="Run in a git worktree.")] = None
    tag: Annotated[list[str] | None, typer.Option(help="A tag to find it by. Repeatable.")] = None
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Asking again with the same key finds the same agent.")
    ] = None
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Do not start Muster if it is not running.")
    ] = False


def open_server(options: SpawnOptions, argv: Sequence[str] | None) -> Server:
    """Return the server to spawn at, starting one here if need be and allowed.

    Raises `CliError` (usage) before anything is started.
    """
    _what(options, argv)
    relay = options.relay_wide or options.host is not None or bool(options.place)
    if options.no_start:
        return connect(relay=relay)
    return connect(relay=relay, host=options.host, start=partial(start, wait_for_relay=relay))


def build_request(
    options: SpawnOptions, argv: Sequence[str] | None, server: Server, *, streams_stdin: bool = False
) -> SpawnRequest:
    """Return the request that the options make. Raises `CliError` (usage) for what cannot be asked.

    With `streams_stdin` a stdin of `-` is left to be sent while the agent runs.
    """
    provider, source = _what(options, argv)
    live = streams_stdin and options.stdin == "-"
    data = _read(options.stdin, "--stdin") if options.stdin is not None and not live else None
    text = _as_text(data)
    request = SpawnRequest(
        provider=provider,
        mode=_mode(options.mode),
        orchestrator_id=options.host,
        placement=_placement(options, server),
        prompt=_prompt(options, source) if argv is None else None,
        argv=list(argv) if argv is not None else None,
        stdin=text,
        stdin_base64=base64.b64encode(data).decode() if data is not None and text is None else None,
        stdin_live=options.stdin_live or live,
        cwd=_cwd(options, server),
        label=options.label,
        approval_mode=options.approval,
        model=options.model,
        env=_environment(options.env or []),
        timeout_ms=_milliseconds(options.timeout, "--timeout"),
        queue_timeout_ms=_milliseconds(options.queue_timeout, "--queue-timeout"),
        restart=options.restart,
        leftovers=options.leftovers,
        worktree=options.worktree,
        idempotency_key=options.key or f"cli-{uuid.uuid4().hex}",
        tags=options.tag or [],
    )
    return _sized(request)


def submit(server: Server, request: SpawnRequest) -> SpawnResponse:
    """Ask for the agent, again under the same key while the connection breaks; it can start only once."""
    deadline = time.monotonic() + RETRY_S
    while True:
        try:
            return server.call(SPAWN, request)
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"{error}; whether the agent was started is not known: "
                    f"repeat it with --key {request.idempotency_key}, which never starts it twice"
                ) from None
            server.come_back(insist=True)


def _what(options: SpawnOptions, argv: Sequence[str] | None) -> tuple[str, str]:
    """Return the provider and where the prompt is to be read from (empty: the words themselves)."""
    words = options.words or []
    if argv is not None:
        if words or options.prompt_file:
            raise _usage("give a prompt, or a command after --, not both")
        if options.provider not in (None, "command"):
            raise _usage(
                f"what follows -- is a command; provider {options.provider!r} takes a prompt instead"
            )
        if not argv:
            raise _usage("there is nothing after --; put the command there")
        return "command", ""
    if options.provider is None:
        raise _usage(
            "which CLI? name one with --provider (`muster providers` lists them), or give -- ARGV..."
        )
    if options.provider == "command":
        raise _usage("provider 'command' takes what to run after --")
    if words and options.prompt_file:
        raise _usage("give the prompt as words or as --prompt-file, not both")
    if words == ["-"] and options.stdin == "-":
        raise _usage("stdin can be the prompt or the agent's stdin, not both")
    if not words and not options.prompt_file:
        raise _usage("there is no prompt; give it as words, as --prompt-file FILE, or as - for stdin")
    return options.provider, options.prompt_file or ("-" if words == ["-"] else "")


def _prompt(options: SpawnOptions, source: str) -> str:
    if not source:
        return " ".join(options.words or [])
    text = _as_text(_read(source, "the prompt"))
    if text is None:
        raise _usage(f"the prompt in {source!r} is not valid UTF-8")
    return text


def _usage(message: str) -> CliError:
    return CliError(message, Exit.USAGE)


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError:
        raise _usage(f"there is no mode {text!r}; choose from {', '.join(Mode)}") from None


def _placement(options: SpawnOptions, server: Server) -> Placement | None:
    if server.kind != "relay" or options.host is not None:
        return None
    pairs = [part.partition("=") for part in options.place or []]
    if any(not equals for _, equals, _ in pairs):
        raise _usage("--place takes NAME=VALUE, the label that a host must have")
    return Placement(labels={name: value for name, _, value in pairs})


def _cwd(options: SpawnOptions, server: Server) -> str | None:
    """A daemon here runs in this folder; another host may not have it, so it takes its own."""
    here = server.kind == "daemon" or options.host == server.config.host_id
    if options.cwd is not None:
        if here:
            return os.path.abspath(os.path.expanduser(options.cwd))
        if not options.cwd.startswith(("/", "~")) and ":" not in options.cwd:
            raise _usage(f"--cwd {options.cwd!r} must be an absolute path on the host that runs the agent")
        return options.cwd
    if not here:
        return None
    try:
        return os.getcwd()
    except OSError:
        raise _usage("the current folder no longer exists; give another with --cwd") from None


def _environment(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise _usage(f"--env takes K=V or K, not {pair!r}")
        if not equals and name not in os.environ:
            raise _usage(f"--env {name}: you have no such variable to hand on; give {name}=VALUE")
        found[name] = value if equals else os.environ[name]
    return found


def _milliseconds(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return round(parse_duration(text) * 1000)
    except ValueError:
        raise _usage(f"{option} takes seconds, or a number with ms, s, m, h or d, not {text!r}") from None


def _read(source: str, what: str) -> bytes:
    """Return a file or stdin, but no more than what could be sent at all."""
    limit = SPAWN.max_body + 1
    if source == "-":
        return sys.stdin.buffer.read(limit)
    try:
        with open(source, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise _usage(f"cannot read {what} from {source}: {error.strerror}") from None


def _as_text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _sized(request: SpawnRequest) -> SpawnRequest:
    """A server that refuses a body may hang up before it was all sent, so it is measured here first."""
    if len(encode(request)) > SPAWN.max_body:
        raise ApiError(
            Code.TOO_LARGE,
            f"the spawn is larger than the {SPAWN.max_body // 2**20} MiB that are allowed; "
            "put what is large into a file on the host and name it in the prompt",
        )
    return request
