"""What a spawn request must look like before it is stored. Pure; what only the host can know
(its providers, its directories, its policy) is checked there."""

from __future__ import annotations

import base64
import binascii
import re

from relay.core.terminals import check_size
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError, Code
from relay.wire.limits import check_limits
from relay.wire.opening import check_window

__all__ = ["check_spawn", "title_of"]

MAX_PROMPT = 4 * 1024 * 1024
MAX_LABEL = 64
MAX_KEY = 200
MAX_TITLE = 200
APPROVAL_MODES = ("read-only", "guarded", "open")
LEFTOVERS = ("end", "keep")
RESTARTS = ("never", "on-failure", "always")
ON_RATE_LIMIT = ("fail", "resume")

_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AGENT_ID = re.compile(r"ag-[0-9a-f]{12}")

SIZINGS = ("active", "smallest")

UNSUPPORTED = ("worktree", "agent_definition", "workflow", "notify")
"""Fields of later versions. To ignore them would start something else than what was asked for."""


def check_spawn(request: SpawnRequest) -> None:
    """Raise `ApiError` for a request that no host could carry out."""
    _check_supported(request)
    _check_program(request)
    _check_names(request)
    _check_words(request)
    _check_numbers(request)
    _check_environment(request)
    _check_terminal(request)
    _check_limits(request)


def _refuse(message: str, code: Code = Code.INVALID) -> ApiError:
    return ApiError(code, message)


def _check_supported(request: SpawnRequest) -> None:
    if request.mode is Mode.IN_PROCESS:
        raise _refuse(
            f"mode {request.mode} is not supported by this version; use headless, embedded or terminal"
        )
    for name in UNSUPPORTED:
        if getattr(request, name) is not None:
            raise _refuse(f"{_camel(name)} is not supported by this version; leave it out")


def _check_program(request: SpawnRequest) -> None:
    if not _PROVIDER.fullmatch(request.provider):
        raise _refuse(f"{request.provider!r} cannot be the name of a provider", Code.UNKNOWN_PROVIDER)
    if request.prompt is not None and request.argv is not None:
        raise _refuse("give either prompt or argv, not both")
    if request.provider == "command":
        if request.prompt is not None:
            raise _refuse("the provider command runs an argv and takes no prompt; name another provider")
        if not request.argv or not request.argv[0]:
            raise _refuse("argv is empty: give the program to run and its arguments")
    elif request.argv is not None:
        raise _refuse(f"argv is for the provider command; give {request.provider} a prompt")
    elif request.prompt is None and (request.mode.on_pty or request.conversation):
        pass  # the program's own interface opens, or the conversation, and waits for a person
    elif not request.prompt or not request.prompt.strip():
        raise _refuse(f"the prompt for {request.provider} is empty")
    if any("\0" in part for part in request.argv or ()):
        raise _refuse("argv holds a NUL character, which no program can be given")
    if request.prompt is not None and len(request.prompt.encode()) > MAX_PROMPT:
        raise _refuse(
            f"the prompt is larger than {MAX_PROMPT >> 20} MiB; write it to a file and name that",
            Code.TOO_LARGE,
        )
    _check_stdin(request)


def _check_stdin(request: SpawnRequest) -> None:
    if request.stdin is not None and request.stdin_base64 is not None:
        raise _refuse("give either stdin or stdinBase64, not both")
    if request.stdin_base64 is not None:
        try:
            base64.b64decode(request.stdin_base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _refuse(f"stdinBase64 is not base64: {error}") from None


def _check_names(request: SpawnRequest) -> None:
    if request.orchestrator_id is not None and request.placement is not None:
        raise _refuse("give either orchestratorId or placement, not both")
    placed = request.placement.provider if request.placement else None
    if placed is not None and placed != request.provider:
        raise _refuse(f"placement.provider is {placed!r}, but the provider is {request.provider!r}")
    if request.label is not None:
        _check_word("label", request.label, MAX_LABEL)
    for tag in request.tags:
        _check_word("a tag", tag, MAX_LABEL)
    if request.idempotency_key is not None:
        _check_word("idempotencyKey", request.idempotency_key, MAX_KEY)
    if request.agent_id is not None and not _AGENT_ID.fullmatch(request.agent_id):
        raise _refuse("agentId must be `ag-` and 12 hex digits (0-9, a-f)")
    for name in ("cwd", "model", "parent_id"):
        value = getattr(request, name)
        if value is not None and (not value or "\0" in value):
            raise _refuse(
                f"{_camel(name)} is empty or holds a NUL character",
                Code.CWD_INVALID if name == "cwd" else Code.INVALID,
            )


def _check_words(request: SpawnRequest) -> None:
    for name, value, known in (
        ("approvalMode", request.approval, APPROVAL_MODES),
        ("leftovers", request.leftovers, LEFTOVERS),
        ("restart", request.restart, RESTARTS),
        ("onRateLimit", request.on_rate_limit, ON_RATE_LIMIT),
    ):
        if value not in known:
            raise _refuse(f"{name} must be one of {', '.join(known)}")
    if request.conversation and request.mode is not Mode.HEADLESS:
        raise _refuse("conversation is for mode headless; one in a terminal takes messages anyway")


def _check_word(what: str, value: str, limit: int) -> None:
    if not value.strip():
        raise _refuse(f"{what} is empty")
    if len(value) > limit:
        raise _refuse(f"{what} is longer than {limit} characters")
    if not value.isprintable():
        raise _refuse(f"{what} holds characters that cannot be printed")


def _check_numbers(request: SpawnRequest) -> None:
    for name in ("timeout_ms", "queue_timeout_ms", "approval_timeout_ms", "restart_limit"):
        value = getattr(request, name)
        if value is not None and value <= 0:
            raise _refuse(f"{_camel(name)} must be more than 0")


def _check_terminal(request: SpawnRequest) -> None:
    if request.sizing not in SIZINGS:
        raise _refuse(f"sizing must be one of {', '.join(SIZINGS)}")
    check_window(request)
    if not request.mode.on_pty:
        if request.size is not None:
            raise _refuse(f"size is for mode embedded, an agent in mode {request.mode} has no terminal")
        return
    if request.size is not None:
        if set(request.size) != {"rows", "columns"}:
            raise _refuse("size must give rows and columns, and nothing else")
        check_size(**request.size)
    if request.stdin is not None or request.stdin_base64 is not None or request.stdin_live:
        raise _refuse(
            f"an agent in mode {request.mode} reads its terminal, not stdin: send it input once it runs"
        )


def _check_limits(request: SpawnRequest) -> None:
    check_limits(request)
    if request.max_turns is None and request.max_cost_usd is None:
        return
    if request.provider == "command":
        raise _refuse("maxTurns and maxCostUsd are for AI CLIs; limit a command with timeoutMs")
    if request.mode is not Mode.HEADLESS:
        raise _refuse(
            "maxTurns and maxCostUsd need mode headless: in a terminal nobody tells what an answer is; "
            "limit it with timeoutMs or idleTimeoutMs"
        )


def _check_environment(request: SpawnRequest) -> None:
    for name, value in request.env.items():
        if not _ENV_NAME.fullmatch(name):
            raise _refuse(f"{name!r} cannot be the name of an environment variable")
        if "\0" in value:
            raise _refuse(f"the value of environment variable {name} holds a NUL character")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def title_of(request: SpawnRequest) -> str:
    """Return the start of the prompt or the argv, on one line."""
    text = request.prompt if request.prompt is not None else " ".join(request.argv or [])
    return " ".join(text[: MAX_TITLE * 4].split())[:MAX_TITLE]
