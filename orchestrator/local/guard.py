"""Who is calling: the user behind the socket, or one of the agents by its token."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from orchestrator.agents.registry import Registry
from relay.wire.endpoints import Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope

__all__ = ["Guard", "LocalCaller"]


@dataclass(frozen=True, slots=True)
class LocalCaller:
    """`name` is what idempotency keys are kept under; `agent_id` is set for an agent's own token."""

    name: str
    scope: Scope
    agent_id: str | None = None


class Guard:
    """Lets in whoever can open the socket, which only its owner can.

    `secret` is set where the API listens on loopback: there every call must carry it, and none may be made
    by a page in a browser, by whatever name it has reached this machine.
    """

    def __init__(self, registry: Registry, secret: str | None = None) -> None:
        self._registry = registry
        self._secret = secret

    async def __call__(self, request: Request, endpoint: Endpoint[Any]) -> LocalCaller:
        """Return the caller. Raises `ApiError` `unauthorized` or `forbidden`."""
        if self._secret is not None:
            _check_origin(request)
        token = _token(request)
        if token.startswith("msa_"):
            return self._agent(token, request, endpoint)
        if self._secret is not None and endpoint.scopes and not _same(token, self._secret):
            raise ApiError(Code.UNAUTHORIZED, "the local API needs the token in daemon.sock of this home")
        return LocalCaller("local", Scope.ADMIN)

    def _agent(self, token: str, request: Request, endpoint: Endpoint[Any]) -> LocalCaller:
        digest = hashlib.sha256(token.encode()).hexdigest()
        record = next((record for record in self._registry if record.token_hash == digest), None)
        if record is None:
            raise ApiError(Code.UNAUTHORIZED, "this agent's token is not known to this host (any more)")
        if endpoint.scopes and Scope.AGENT not in endpoint.scopes:
            raise ApiError(Code.FORBIDDEN, f"an agent's token may not call {endpoint.name}")
        reference = request.path_params.get("id")
        if reference is not None and reference != record.id:
            raise ApiError(Code.FORBIDDEN, "an agent's token reaches only that agent")
        return LocalCaller(f"agent:{record.id}", Scope.AGENT, record.id)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _check_origin(request: Request) -> None:
    authority = request.headers.get("Host", "")
    if re.fullmatch(r"(127\.0\.0\.1|localhost)(:[0-9]*)?", authority, re.IGNORECASE) is None:
        raise ApiError(Code.MISDIRECTED, f"this daemon does not answer to the name {authority!r}")
    origin = request.headers.get("Origin")
    if origin is not None:
        raise ApiError(Code.FORBIDDEN, f"pages of {origin} may not use this daemon")


def _token(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("X-Agent-Relay-Token", "").strip()
