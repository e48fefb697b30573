"""Health reports and tokens."""

from __future__ import annotations

import enum

from relay.wire.base import PROTOCOL, Wire

__all__ = ["Health", "HealthCheck", "Scope", "Token", "TokenCreated", "TokenRequest"]


class HealthCheck(Wire, frozen=True, kw_only=True):
    """`status`: `ok`, `warn` or `fail`; `detail` says what and, if not ok, what to do."""

    name: str
    status: str
    detail: str = ""


class Health(Wire, frozen=True, kw_only=True):
    """`role` is `relay` or `orchestrator`; `status` the worst of its checks."""

    status: str
    role: str
    version: str
    generated_at: int
    checks: list[HealthCheck] = []
    protocol: int = PROTOCOL
    id: str | None = None
    pid: int | None = None
    relay_url: str | None = None


class Scope(enum.StrEnum):
    """What a token may do: `admin` everything, `operator` run and steer agents, `viewer` look.

    `orchestrator` and `agent` tokens are bound to one id and reach only what is theirs.
    """

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    ORCHESTRATOR = "orchestrator"
    AGENT = "agent"


class TokenRequest(Wire, frozen=True, kw_only=True):
    """`id` is the host or agent an `orchestrator` or `agent` token is bound to."""

    scope: Scope = Scope.OPERATOR
    id: str | None = None
    label: str | None = None
    expires_in_ms: int | None = None


class TokenCreated(Wire, frozen=True, kw_only=True):
    """The only time the token itself is shown; the relay keeps a hash. `name` is its public handle."""

    token: str
    id: str | None
    scope: Scope
    name: str
    expires_at: int | None = None


class Token(Wire, frozen=True, kw_only=True):
    """A token as listed: never the secret."""

    name: str
    scope: Scope
    created_at: int
    id: str | None = None
    label: str | None = None
    expires_at: int | None = None
    last_used_at: int | None = None
