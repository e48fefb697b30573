"""Who may come in: Host and Origin, then token, then scope."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from relay.core.tokens import Caller, Tokens
from relay.wire.endpoints import GET_HOST, Endpoint
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope

__all__ = ["Guard", "is_loopback"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NOBODY = Caller("nobody", Scope.VIEWER)


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name or an address) is only reachable from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """A page on the web must not reach the relay through a visitor's browser: a request's `Host` must
    be a name of this relay (against DNS rebinding) and its `Origin`, if any, the relay itself.

    On a loopback address those are the loopback names, elsewhere also this machine's name, the bound
    one and any plain address, which nobody can rebind. `allowed` adds names.
    """

    def __init__(self, tokens: Tokens, bound: str, allowed: Iterable[str]) -> None:
        self._tokens = tokens
        self._names = LOOPBACK | {bound.lower()} | {name.lower() for name in allowed}
        self._addresses = not is_loopback(bound)
        if self._addresses:
            self._names |= {socket.gethostname().lower()}

    async def __call__(self, request: Request, endpoint: Endpoint[Any]) -> Caller:
        self._check_origin(request)
        if not endpoint.scopes:
            return NOBODY
        caller = self._tokens.authenticate(_secret(request))
        if caller.scope not in endpoint.scopes:
            needed = " or ".join(sorted(endpoint.scopes))
            raise ApiError(
                Code.FORBIDDEN,
                f"this needs a token of scope {needed}; yours is {caller.scope}",
                needed=sorted(endpoint.scopes),
            )
        if endpoint.path.startswith(GET_HOST.path + "/"):
            caller.check_host(request.path_params["id"])
        return caller

    def _check_origin(self, request: Request) -> None:
        authority = request.headers.get("Host", "")
        name = _name(authority)
        if name is None or not self._is_ours(name):
            raise ApiError(
                Code.MISDIRECTED,
                f"this relay does not answer to the name {authority!r}; start it with --allow-host NAME",
            )
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != authority.lower():
            raise ApiError(Code.FORBIDDEN, f"pages of {origin} may not use this relay")

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        if not self._addresses:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name(authority: str) -> str | None:
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _secret(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret:
        return secret.strip()
    return request.headers.get("X-Agent-Relay-Token")
