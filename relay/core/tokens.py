"""Tokens: who is calling, and what they may do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from relay.core.ports import Store
from relay.core.records import TokenRecord
from relay.wire.base import now_ms
from relay.wire.errors import ApiError, Code
from relay.wire.health import Scope, Token, TokenCreated, TokenRequest

__all__ = ["Caller", "Tokens", "token_hash"]

PREFIX = "mst_"
ADMIN = "admin"
"""The name of the token that the first start writes to its file."""
MAX_LABEL = 64


def token_hash(secret: str) -> str:
    """Return what is stored of a token: the SHA-256 of its 256 random bits needs no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. `name` identifies the token for good; `id` is what it is bound to."""

    name: str
    scope: Scope
    id: str | None = None
    label: str | None = None

    @property
    def shown(self) -> str:
        return self.label or self.id or self.name

    def check_host(self, host_id: str) -> None:
        """Raise `ApiError` `forbidden` if this is the token of another host."""
        if self.scope is Scope.ORCHESTRATOR and self.id != host_id:
            raise ApiError(Code.FORBIDDEN, f"this token is bound to host {self.id!r}, not to {host_id!r}")

    def check_agent(self, agent_id: str) -> None:
        """Raise `ApiError` `forbidden` if this is the token of another agent."""
        if self.scope is Scope.AGENT and self.id != agent_id:
            raise ApiError(Code.FORBIDDEN, f"this token is bound to agent {self.id}, and sees only that one")


class Tokens:
    """All tokens, in memory by hash, so that a request costs no query and revoking acts at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_hash: dict[str, TokenRecord] = {}
        self._used: dict[str, int] = {}
        self._last_used: dict[str, int] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}

    async def load(self) -> None:
        async with self._store.reading() as transaction:
            self._by_hash = {record.hash: record for record in await transaction.tokens.all()}

    async def ensure_admin(self, in_file: str | None, write: Callable[[str], None]) -> None:
        """Make the token of the admin file valid, or `write` a new one if there is none.

        A file that outlived its database is adopted again, so that whoever has read it keeps access.
        """
        if in_file is not None:
            known = self._by_hash.get(token_hash(in_file))
            if known is not None and (known.expires_at is None or known.expires_at > now_ms()):
                return
        secret = in_file or _new_secret()
        if in_file is None:
            write(secret)
        await self._put(TokenRecord(ADMIN, token_hash(secret), Scope.ADMIN, now_ms(), label=ADMIN))

    def authenticate(self, secret: str | None) -> Caller:
        """Return who presents `secret`, or raise `ApiError` `unauthorized` with what to do."""
        if not secret:
            raise ApiError(
                Code.UNAUTHORIZED,
                "a token is needed: set MUSTER_TOKEN (or the config's relay.token), or use the MUSTER_HOME "
                "of the relay; `muster token create` on the relay's machine makes one",
            )
        digest = token_hash(secret)
        record = self._by_hash.get(digest)
        if record is None or not hmac.compare_digest(record.hash, digest):
            raise ApiError(
                Code.UNAUTHORIZED,
                "this relay does not know the token: it was revoked, or belongs to another relay; "
                "`muster token create` on the relay's machine makes one",
            )
        now = now_ms()
        if record.expires_at is not None and record.expires_at <= now:
            raise ApiError(
                Code.UNAUTHORIZED,
                f"the token {record.name} has expired; make a new one (`muster token create`)",
            )
        self._used[record.name] = self._last_used[record.name] = now
        return Caller(record.name, record.scope, record.bound_to, record.label)

    async def until_invalid(self, caller: Caller) -> None:
        """Return once the caller's token has been revoked or has expired, for callers that stay."""
        record = next((record for record in self._by_hash.values() if record.name == caller.name), None)
        if record is None:
            return
        left_s = None if record.expires_at is None else max(0, record.expires_at - now_ms()) / 1000
        revoked = asyncio.Event()
        watchers = self._watchers.setdefault(caller.name, set())
        watchers.add(revoked)
        try:
            async with asyncio.timeout(left_s):
                await revoked.wait()
        except TimeoutError:
            return
        finally:
            watchers.discard(revoked)
            if not watchers:
                self._watchers.pop(caller.name, None)

    async def create(self, request: TokenRequest) -> TokenCreated:
        bound = request.scope in (Scope.ORCHESTRATOR, Scope.AGENT)
        if bound and not request.id:
            raise ApiError(Code.INVALID, f"a token of scope {request.scope} needs the id it is bound to")
        if not bound and request.id:
            raise ApiError(
                Code.INVALID, f"a token of scope {request.scope} is bound to nothing; leave out id"
            )
        if request.expires_in_ms is not None and request.expires_in_ms <= 0:
            raise ApiError(Code.INVALID, "expiresInMs must be more than 0")
        for text in (request.label, request.id):
            if text is not None and (not text.isprintable() or len(text) > 4 * MAX_LABEL):
                raise ApiError(Code.INVALID, "label and id must be printable and at most 256 characters")
        now = now_ms()
        secret = _new_secret()
        expires = None if request.expires_in_ms is None else now + request.expires_in_ms
        record = TokenRecord(
            name=f"tk-{secrets.token_hex(4)}",
            hash=token_hash(secret),
            scope=request.scope,
            created_at=now,
            bound_to=request.id,
            label=request.label,
            expires_at=expires,
        )
        await self._put(record)
        return TokenCreated(
            token=secret, id=request.id, scope=request.scope, name=record.name, expires_at=expires
        )

    def all(self) -> list[Token]:
        """Return the tokens that were made by people; agents' own are not listed."""
        records = [record for record in self._by_hash.values() if not record.name.startswith("agent-")]
        return [
            replace(record, last_used_at=self._last_used.get(record.name, record.last_used_at)).public
            for record in sorted(records, key=lambda record: record.created_at)
        ]

    async def revoke(self, name: str) -> Token:
        record = next((record for record in self._by_hash.values() if record.name == name), None)
        if record is None:
            raise ApiError(Code.NOT_FOUND, f"no token {name!r}; `muster token list` shows their names")
        async with self._store.writing() as transaction:
            await transaction.tokens.delete([name])
        self._by_hash.pop(record.hash, None)
        for revoked in self._watchers.get(name, ()):
            revoked.set()
        return record.public

    @staticmethod
    def of_agent(agent_id: str, digest: str) -> TokenRecord:
        """Return the token that a host made for its agent, from the hash it reported."""
        return TokenRecord(f"agent-{agent_id}", digest, Scope.AGENT, now_ms(), bound_to=agent_id)

    def adopt(self, records: Iterable[TokenRecord]) -> None:
        """Let in tokens that were just stored."""
        for record in records:
            self._by_hash[record.hash] = record

    async def forget_agents(self, ids: list[str]) -> None:
        """Delete the tokens of agents that are not known any more."""
        names = {f"agent-{agent_id}" for agent_id in ids}
        gone = [record for record in self._by_hash.values() if record.name in names]
        if not gone:
            return
        async with self._store.writing() as transaction:
            await transaction.tokens.delete(record.name for record in gone)
        for record in gone:
            self._by_hash.pop(record.hash, None)

    async def flush(self) -> None:
        """Store when the tokens were last used."""
        used, self._used = self._used, {}
        if used:
            async with self._store.writing() as transaction:
                await transaction.tokens.used(used)

    async def _put(self, record: TokenRecord) -> None:
        async with self._store.writing() as transaction:
            await transaction.tokens.put(record)
        stale = [known.hash for known in self._by_hash.values() if known.name == record.name]
        for digest in stale:
            del self._by_hash[digest]
        self._by_hash[record.hash] = record


def _new_secret() -> str:
    return PREFIX + os.urandom(32).hex()
