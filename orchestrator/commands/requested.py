"""What a spawn request must look like before anything of it is carried out. Pure.

The relay has checked what came through it; what was asked of this host directly is checked here only.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from orchestrator.config import Policy
from orchestrator.policy import cost_usd, turns, uncounted
from orchestrator.terminal_size import parse_size
from relay.wire.agents import Mode, SpawnRequest
from relay.wire.errors import ApiError, Code
from relay.wire.limits import check_limits
from relay.wire.opening import check_window
from spawners.launch import MAX_CELLS, Size
from spawners.providers.base import Ability, Provider, UnknownProvider
from spawners.providers.registry import Registry as Providers

__all__ = ["bounded", "checked", "countable", "size_of", "stdin_of"]

AGENT_ID = re.compile(r"ag-[0-9a-f]{12}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LABEL_MAX = 64
MODES = (Mode.HEADLESS, Mode.EMBEDDED, Mode.TERMINAL)
PROMPT_MAX_BYTES = 4 * 1024 * 1024
SIZINGS = ("active", "smallest")


def _refuse(message: str, code: Code = Code.INVALID) -> ApiError:
    return ApiError(code, message)


def checked(request: SpawnRequest, agent_id: str, providers: Providers) -> Provider:
    """Return the provider of a request that is sound in itself. Raises `ApiError`."""
    if not AGENT_ID.fullmatch(agent_id):
        raise _refuse(f"an agent id is `ag-` and 12 hex digits, not {agent_id!r}")
    try:
        provider = providers.get(request.provider)
    except UnknownProvider as error:
        raise ApiError(Code.UNKNOWN_PROVIDER, error.message, known=list(error.known)) from None
    _check_supported(request)
    _check_words(request)
    if request.conversation and Ability.CONVERSATION not in provider.abilities:
        raise _refuse(f"{request.provider} holds no conversations: give it a prompt, or use mode embedded")
    if request.timeout_ms is not None and request.timeout_ms <= 0:
        raise _refuse("timeoutMs must be more than 0")
    _check_texts(request)
    _check_terminal(request)
    _check_limits(request, provider)
    return provider


def _check_supported(request: SpawnRequest) -> None:
    if request.mode not in MODES:
        raise _refuse(f"mode {request.mode} is not supported by this version; use {' or '.join(MODES)}")
    for field, value in (
        ("worktree", request.worktree),
        ("agentDefinition", request.agent_definition),
        ("workflow", request.workflow),
    ):
        if value is not None:
            raise _refuse(f"{field} is not supported by this version; leave it out")


def _check_words(request: SpawnRequest) -> None:
    for name, value, known in (
        ("leftovers", request.leftovers, ("end", "keep")),
        ("restart", request.restart, ("never", "on-failure", "always")),
        ("onRateLimit", request.on_rate_limit, ("fail", "resume")),
    ):
        if value not in known:
            raise _refuse(f"{name} must be one of {', '.join(known)}, not {value!r}")
    if request.restart_limit is not None and request.restart_limit < 1:
        raise _refuse("restartLimit must be at least 1; restart never starts none")
    if request.approval_timeout_ms is not None and request.approval_timeout_ms < 1:
        raise _refuse("approvalTimeoutMs must be more than 0")
    if request.conversation and request.mode is not Mode.HEADLESS:
        raise _refuse("conversation is for mode headless; one in a terminal takes messages anyway")


def _check_texts(request: SpawnRequest) -> None:
    if request.label is not None and (
        not request.label.strip() or len(request.label) > LABEL_MAX or not request.label.isprintable()
    ):
        raise _refuse(f"a label has 1 to {LABEL_MAX} printable characters")
    if request.prompt is not None and len(request.prompt.encode("utf-8", "replace")) > PROMPT_MAX_BYTES:
        raise _refuse(
            f"the prompt is larger than {PROMPT_MAX_BYTES} bytes; put it into a file and name that",
            Code.TOO_LARGE,
        )
    for name, value in request.env.items():
        if not ENV_NAME.fullmatch(name):
            raise _refuse(f"{name!r} is no name for an environment variable")
        if "\0" in value:
            raise _refuse(f"the value of {name} holds a NUL character")


def _check_terminal(request: SpawnRequest) -> None:
    if request.sizing not in SIZINGS:
        raise _refuse(f"sizing must be {' or '.join(SIZINGS)}, not {request.sizing!r}")
    check_window(request)
    if not request.mode.on_pty:
        if request.size is not None:
            raise _refuse("size is that of a terminal; give it with the mode embedded")
    elif request.size is not None:
        if request.size.keys() != {"rows", "columns"}:
            raise _refuse("size holds rows and columns, and nothing else")
        if not Size(**request.size).valid:
            raise _refuse(f"rows and columns are each from 1 to {MAX_CELLS}")


def _check_limits(request: SpawnRequest, provider: Provider) -> None:
    check_limits(request)
    for name, value, ability in (
        ("maxTurns", request.max_turns, Ability.RESULT),
        ("maxCostUsd", request.max_cost_usd, Ability.COST),
    ):
        if value is not None and not countable(request, provider, ability):
            raise _refuse(
                f"nobody could hold {request.provider} in mode {request.mode} to {name}, for it does not "
                "tell; limit it with timeoutMs or idleTimeoutMs"
            )


def bounded(policy: Policy, request: SpawnRequest, provider: Provider) -> SpawnRequest:
    """Return `request` with the limits of a run that this host sets. Raises `ApiError` `policy_refused`."""
    if not provider.binaries:
        return request
    answers, costs = (countable(request, provider, able) for able in (Ability.RESULT, Ability.COST))
    uncounted(policy, turns=not answers, cost=not costs)
    return msgspec.structs.replace(
        request,
        max_turns=turns(policy, request.max_turns),
        max_cost_usd=cost_usd(policy, request.max_cost_usd),
    )


def countable(request: SpawnRequest, provider: Provider, ability: Ability) -> bool:
    """Whether what an agent says of its run, by this ability, can be held against a limit."""
    return request.mode is Mode.HEADLESS and ability in provider.abilities


def size_of(request: SpawnRequest, default: str) -> Size | None:
    """Return the size of the terminal that is asked for, `default` (80x24) if none is given; None: pipes."""
    if not request.mode.on_pty:
        return None
    return parse_size(default) if request.size is None else Size(**request.size)


def stdin_of(request: SpawnRequest) -> bytes | None:
    """Return what the program is to read before end of file. Raises `ApiError`."""
    if request.stdin is not None and request.stdin_base64 is not None:
        raise _refuse("give stdin or stdinBase64, not both")
    if request.stdin is not None:
        return request.stdin.encode()
    if request.stdin_base64 is None:
        return None
    try:
        return base64.b64decode(request.stdin_base64, validate=True)
    except binascii.Error as error:
        raise _refuse(f"stdinBase64 is not base64: {error}") from None
