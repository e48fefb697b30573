"""What a spawn needs to know of its host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.secrets import SecretsError
from relay.wire.errors import ApiError, Code
from spawners.providers.base import Edit, Provider
from spawners.providers.registry import Registry as Providers

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All of it is asked for anew at each spawn.

    `environment` is a fresh login's, `executable` finds a provider's CLI, `draining` whether new
    agents are refused, `own` the variables every agent gets (where the relay and the socket are),
    `keys` what the owner's secret file has for a provider (raises `SecretsError`), `trusts` whether
    the owner trusts a folder, `settle` makes a plan's edits (raises `SpawnFailed`), `open_files` is
    the agents' soft limit of open files.
    """

    environment: Callable[[], Awaitable[Mapping[str, str]]]
    executable: Callable[[str], Awaitable[str | None]]
    draining: Callable[[], bool]
    own: Callable[[], Mapping[str, str]]
    keys: Callable[[Provider], Mapping[str, str]]
    trusts: Callable[[str], bool]
    settle: Callable[[Iterable[Edit]], None]
    open_files: int | None = None

    async def check_known(self, name: str, providers: Providers) -> None:
        """Raise `ApiError` that lists the providers there are, and those whose CLI is installed here."""
        if providers.find(name) is not None:
            return
        known = providers.names()
        found = [p.name for p in providers if not p.binaries or await self.executable(p.name)]
        left_out = "".join(f"; left out: {problem}" for problem in providers.problems)
        raise ApiError(
            Code.UNKNOWN_PROVIDER,
            f"there is no provider {name!r} on this host; known are: {', '.join(known)}; "
            f"installed of these: {', '.join(found)}{left_out}",
            known=list(known),
            installed=found,
        )

    def keys_of(self, provider: Provider) -> Mapping[str, str]:
        """What the owner's secret file has for `provider`. Raises `ApiError`."""
        try:
            return self.keys(provider)
        except SecretsError as error:
            raise ApiError(Code.POLICY_REFUSED, str(error), rule="secrets.env") from None
