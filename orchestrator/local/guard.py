"""Who is calling: the user behind the socket, or one of the agents by its token."""

from __future__ import annotations

import hashlib
import hmac
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

    `secret` is set where the API listens on TCP (Windows): there every call must carry it.
    """

    def __init__(self, registry: Registry, secret: str | None = None) -> None:
        self._registry = registry
        self._secret = secret

    async def __call__(self, request: Request, endpoint: Endpoint[Any]) -> LocalCaller:
        """Return the caller. Raises `ApiError` `unauthorized` or `forbidden`."""
        token = _token(request)
        if token.startswith("msa_"):
            return self._agent(token, request, endpoint)
        if self._secret is not None and endpoint.scopes and not hmac.compare_digest(token, self._secret):
            raise ApiError(Code.UNAUTHORIZED, "the local API needs the token in host.json of this home")
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


def _token(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("X-Agent-Relay-Token", "").strip()
