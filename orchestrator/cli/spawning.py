"""What `spawn` and `run` have in common: the request made of their options, and asking exactly once."""

from __future__ import annotations

import base64
import math
import os
import sys
import time
import uuid
from collections.abc import Sequence
from functools import partial

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.processes import start
from orchestrator.cli.sizes import cells, cores, memory
from orchestrator.cli.spawn_options import SpawnOptions
from orchestrator.cli.target import Server, connect
from orchestrator.cli.wishes import check_wishes, own_desktop, with_option
from orchestrator.cli.words import parse_duration
from relay.wire.agents import Mode, Placement, SpawnRequest, SpawnResponse
from relay.wire.base import encode
from relay.wire.client import Unreachable
from relay.wire.endpoints import SPAWN
from relay.wire.errors import ApiError, Code
from spawners.launch import Size

__all__ = ["build_request", "open_server", "submit"]

RETRY_S = 20.0
"""How long a spawn is repeated after a broken connection; a daemon restarts in about a second."""


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
    options: SpawnOptions,
    argv: Sequence[str] | None,
    server: Server,
    *,
    streams_stdin: bool = False,
    own: Size | None = None,
) -> SpawnRequest:
    """Return the request that the options make. Raises `CliError` (usage) for what cannot be asked.

    With `streams_stdin` a stdin of `-` is left to be sent while the agent runs. `own` is the size of
    the terminal that is going to show it.
    """
    provider, source = _what(options, argv)
    mode = _mode(options.mode)
    size = cells(options.size, "--size") or (own if mode is Mode.EMBEDDED else None)
    live = streams_stdin and options.stdin == "-"
    data = _read(options.stdin, "--stdin") if options.stdin is not None and not live else None
    text = _as_text(data)
    request = SpawnRequest(
        provider=provider,
        mode=mode,
        orchestrator_id=options.host,
        placement=_placement(options, server),
        prompt=_prompt(options, source),
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
        idle_timeout_ms=_milliseconds(options.idle_timeout, "--idle-timeout"),
        max_turns=options.max_turns,
        max_cost_usd=options.max_cost,
        queue_timeout_ms=_milliseconds(options.queue_timeout, "--queue-timeout"),
        conversation=options.conversation,
        ask=options.ask,
        approval_timeout_ms=_milliseconds(options.approval_timeout, "--approval-timeout"),
        restart=options.restart,
        restart_limit=options.restart_limit,
        on_rate_limit=options.on_rate_limit,
        leftovers=options.leftovers,
        worktree=options.worktree,
        idempotency_key=options.key or f"cli-{uuid.uuid4().hex}",
        tags=options.tag or [],
        size={"rows": size.rows, "columns": size.columns} if size else None,
        terminal=options.terminal,
        tab=options.tab,
        hold=options.hold,
        on_window_close=options.on_window_close,
        terminal_fallback=options.terminal_fallback,
        desktop=own_desktop() if mode is Mode.TERMINAL and server.kind == "daemon" else {},
        sizing=_sizing(options.sizing, server.config.terminal.sizing),
        memory_bytes=memory(options.memory, "--memory"),
        cpus=cores(options.cpus, "--cpus"),
    )
    return _sized(request)


def submit(server: Server, request: SpawnRequest) -> SpawnResponse:
    """Ask for the agent, again under the same key while the connection breaks; it can start only once."""
    deadline = time.monotonic() + RETRY_S
    while True:
        try:
            return server.call(SPAWN, request)
        except ApiError as error:
            if error.code is not Code.INVALID:
                raise
            raise ApiError(error.code, with_option(error.message), **error.details) from None
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
    _fits_mode(options)
    if argv is not None:
        if words or options.prompt_file:
            raise _usage("give a prompt, or a command after --, not both")
        if options.provider not in (None, "command"):
            raise _usage(
                f"what follows -- is a command; provider {options.provider!r} takes a prompt instead "
                "(one that begins with - from --prompt-file, or from stdin with -)"
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
    if not (words or options.prompt_file or options.conversation or _mode(options.mode).on_pty):
        raise _usage("there is no prompt; give it as words, as --prompt-file FILE, or as - for stdin")
    return options.provider, options.prompt_file or ("-" if words == ["-"] else "")


def _fits_mode(options: SpawnOptions) -> None:
    """Refuse what cannot be meant, before anything is started."""
    cells(options.size, "--size"), memory(options.memory, "--memory"), cores(options.cpus, "--cpus")
    if options.max_cost is not None and not math.isfinite(options.max_cost):
        raise _usage(f"--max-cost takes an amount like 2.5, not {options.max_cost}")
    mode = _mode(options.mode)
    if mode.on_pty:
        if options.stdin is not None or options.stdin_live:
            raise _usage(f"an {mode} agent reads its terminal; type into it with `muster attach` or `send`")
    elif options.size is not None or options.sizing is not None:
        raise _usage("--size and --sizing are those of a terminal; give --mode embedded with them")
    check_wishes(options, mode)


def _prompt(options: SpawnOptions, source: str) -> str | None:
    if not source:
        return " ".join(options.words) if options.words else None
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


def _sizing(text: str | None, default: str) -> str:
    if text not in (None, "active", "smallest"):
        raise _usage(f"--sizing is active or smallest, not {text!r}")
    return text or default


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
