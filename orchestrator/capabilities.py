"""Which providers' CLIs this host has, where, and in which version."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from msgspec.structs import replace

from orchestrator.probe import Answer, ask
from orchestrator.secrets import Secrets, SecretsError
from relay.wire.orchestrators import ProviderInfo
from relay.wire.private import replace_file
from spawners._os import find_program
from spawners.providers.base import Provider
from spawners.providers.registry import HERE, Registry

__all__ = ["Capabilities"]

log = structlog.get_logger()

VERSION_TIMEOUT_S = 30.0
"""These CLIs take a second and a half, ten times that on a busy machine; a failure counts for long."""
VERSION_OUTPUT_BYTES = 64 * 1024
AT_ONCE = 2
"""Versions asked for at the same time: each of these CLIs takes a core for up to a second and a half."""

FIRST_S = 2.0
"""Time before the first round, so that it does not slow down a daemon's start."""

EVERY_S = 60.0


RETRY_S = 600.0
"""Time before a binary that failed is asked again, if it has not been replaced."""

Infos = list[ProviderInfo]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a binary said of itself. It says the same again as long as it is the same file.

    `retry_at` (monotonic clock) is set for a failure, which may have been the machine's.
    """

    mtime_ns: int
    size: int
    version: str | None
    note: str | None
    retry_at: float | None = None


class Capabilities:
    """Finds the CLIs on the PATH of `environment`, which is the one agents get.

    Looking for a file costs microseconds and is done at each call. Running it for its version is done
    by `refresh` only, once for each binary: results are kept in the file `cache_path` over restarts.
    Providers without binaries need nothing installed and are not listed.
    """

    def __init__(
        self,
        providers: Registry,
        environment: Callable[[], Awaitable[Mapping[str, str]]],
        cache_path: str,
        secrets: Secrets,
    ) -> None:
        self._providers = providers
        self._secrets = secrets
        self._environment = environment
        self._cache_path = cache_path
        self._seen = _read_cache(cache_path)
        self._found: Infos | None = None
        self._told: Infos | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the owner's could not be taken up, and why: adapters, the file with keys."""
        try:
            self._secrets.read()
        except SecretsError as error:
            return (*self._providers.problems, str(error))
        return self._providers.problems

    @property
    def count(self) -> int:
        return len(self._providers.names())

    async def executable(self, name: str) -> str | None:
        """The absolute path of the provider's CLI, None if it is not installed or needs none.

        Raises `UnknownProvider`.
        """
        provider = self._providers.get(name)
        return _find(provider, await self._environment()) if provider.binaries else None

    async def list(self) -> Infos:
        """Every provider with a CLI, installed or not; versions as far as they are known."""
        env = await self._environment()
        self._found = [self._describe(provider, env) for provider in self._providers if provider.binaries]
        return self._found

    def changed(self) -> Infos | None:
        """What was last found, if it is not what this returned before; else None."""
        if self._found is None or self._found == self._told:
            return None
        self._told = self._found
        return self._found

    async def refresh(self) -> Infos:
        """Ask every binary that is new or was replaced for its version, two at a time, and list all."""
        env = await self._environment()
        gate = asyncio.Semaphore(AT_ONCE)
        before = dict(self._seen)
        async with asyncio.TaskGroup() as group:
            for provider in self._providers:
                path = _find(provider, env) if provider.binaries else None
                if path is not None and self._wanted(provider, path):
                    group.create_task(self._ask(provider, path, env, gate))
        if self._seen != before:
            _write_cache(self._cache_path, self._lasting())
        return await self.list()

    async def keep_fresh(self) -> None:
        """Refresh every minute, without end; ask the login shell at once, so that no spawn has to wait."""
        await self._environment()
        await asyncio.sleep(FIRST_S)
        while True:
            try:
                await self.refresh()
            except Exception:
                log.exception("capabilities.failed")
            await asyncio.sleep(EVERY_S)

    def _describe(self, provider: Provider, env: Mapping[str, str]) -> ProviderInfo:
        path = _find(provider, env)
        found = ProviderInfo(
            name=provider.name,
            path=path,
            modes=[*provider.modes],
            approval_modes=[*provider.approval_modes],
            abilities=sorted(provider.abilities),
            proven=provider.proven,
            source=self._providers.source(provider.name),
            secrets=[*provider.secrets],
            keys=[name for name in provider.secrets if env.get(name) or name in self._written(provider)],
        )
        if path is None:
            looked = " or ".join(provider.binaries)
            return replace(found, note=f"not installed: no {looked} on the login shell's PATH")
        seen = self._known(provider, path)
        return replace(found, version=seen.version, note=seen.note) if seen else found

    def _written(self, provider: Provider) -> Mapping[str, str]:
        try:
            return self._secrets.of(provider)
        except SecretsError:
            return {}  # a spawn that needs it says why

    def _known(self, provider: Provider, path: str) -> _Seen | None:
        seen = self._seen.get(_key(provider, path))
        return seen if seen is not None and (seen.mtime_ns, seen.size) == _stamp(path) else None

    def _wanted(self, provider: Provider, path: str) -> bool:
        seen = self._known(provider, path)
        return seen is None or (seen.retry_at is not None and time.monotonic() >= seen.retry_at)

    def _lasting(self) -> dict[str, _Seen]:
        """What a later daemon may believe: answers, and not those that an owner's words were read by."""
        built_in = [f"{provider.name} " for provider in self._providers if self._is_ours(provider)]
        return {
            key: seen
            for key, seen in self._seen.items()
            if seen.retry_at is None and key.startswith(tuple(built_in))
        }

    def _is_ours(self, provider: Provider) -> bool:
        return self._providers.source(provider.name) == HERE

    async def _ask(
        self, provider: Provider, path: str, env: Mapping[str, str], gate: asyncio.Semaphore
    ) -> None:
        """Never started bare: some CLIs install something or log in when they are."""
        called = f"`{os.path.basename(path)} {' '.join(provider.version_argv)}`"
        stamp = _stamp(path)
        async with gate:
            try:
                answer = await ask(
                    (path, *provider.version_argv),
                    self._providers.environment(provider, env, {}),
                    "/",
                    timeout_s=VERSION_TIMEOUT_S,
                    limit=VERSION_OUTPUT_BYTES,
                )
            except OSError as error:
                note = f"cannot be started: {error.strerror}"
                self._seen[_key(provider, path)] = _Seen(*stamp, None, note, time.monotonic() + RETRY_S)
                return
        self._seen[_key(provider, path)] = _judge(provider, called, stamp, answer)


def _judge(provider: Provider, called: str, stamp: tuple[int, int], answer: Answer) -> _Seen:
    text = answer.output.decode(errors="replace")
    version = provider.parse_version(text)
    if answer.code == 0:
        said = f"{called} says {_first_line(text)!r}, which is not {provider.name}"
        return _Seen(*stamp, version, None if version else said)
    why = f"did not end within {VERSION_TIMEOUT_S:g} s" if answer.timed_out else f"exited with {answer.code}"
    return _Seen(*stamp, version, f"{called} {why}", time.monotonic() + RETRY_S)


def _find(provider: Provider, env: Mapping[str, str]) -> str | None:
    for binary in provider.binaries:
        found = find_program(binary, env.get("PATH", os.defpath))
        if found is not None:
            return found
    return None


def _key(provider: Provider, path: str) -> str:
    """Two providers may know the same binary, and ask it differently."""
    return f"{provider.name} {path}"


def _stamp(path: str) -> tuple[int, int]:
    """Modification time and size of the file behind all links; zeros if it has just gone."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _first_line(text: str) -> str:
    return next((line.strip()[:80] for line in text.splitlines() if line.strip()), "")


def _read_cache(path: str) -> dict[str, _Seen]:
    try:
        with open(path) as file:
            entries: dict[str, dict[str, Any]] = json.load(file)
        return {binary: _Seen(**entry) for binary, entry in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # it only saves time


def _write_cache(path: str, seen: Mapping[str, _Seen]) -> None:
    entries = {
        binary: {"mtime_ns": s.mtime_ns, "size": s.size, "version": s.version, "note": s.note}
        for binary, s in seen.items()
    }
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False) as file:
            json.dump(entries, file)
        replace_file(file.name, path)
    except OSError as error:
        log.warning("capabilities.not_cached", path=path, error=str(error))
