"""Name → provider. An unknown name is an error, never a default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from spawners.providers import claude, codex, command, gemini
from spawners.providers.base import Provider, UnknownProvider
from spawners.providers.environment import (
    OTHER_MARKS,
    OWN_MARKS,
    SHELL_MARKS,
    TERMINAL_MARKS,
    Names,
    without,
)

__all__ = ["BUILTIN", "Registry", "scrub"]


class Registry:
    """The providers a host has adapters for, in the order given. Names are unique."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = {provider.name: provider for provider in providers}
        marks = [pattern for provider in self for pattern in provider.marks]
        self._marks = Names([*marks, *TERMINAL_MARKS, *SHELL_MARKS, *OTHER_MARKS, *OWN_MARKS])
        self._wanted = Names(self.variables())

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())

    def names(self) -> tuple[str, ...]:
        return tuple(self._providers)

    def get(self, name: str) -> Provider:
        """The provider called `name`. Raises `UnknownProvider`."""
        try:
            return self._providers[name]
        except KeyError:
            raise UnknownProvider(name, self.names()) from None

    def find(self, name: str) -> Provider | None:
        """The provider called `name`, None if this version or this host has none."""
        return self._providers.get(name)

    def variables(self) -> tuple[str, ...]:
        """Patterns of every variable that some provider may need from the host."""
        return tuple(dict.fromkeys(pattern for provider in self for pattern in provider.variables))

    def scrub(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env` without the marks of terminals, shells, other agents and ourselves.

        A variable that a provider may need stays, also where it looks like a mark
        (`CODEX_HOME` among `CODEX_*`).
        """
        return without(env, self._marks, keep=self._wanted)

    def environment(
        self, provider: Provider, host: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        """What an agent of `provider` starts with: the host's environment, scrubbed, under `given`.

        Keys and endpoints of the other providers are left out. A provider without binaries of its
        own may be running any of them, so it gets all.
        """
        env = self.scrub(host)
        if provider.binaries:
            env = without(env, self._wanted, keep=Names(provider.variables))
        return env | dict(given)


BUILTIN = Registry((command.PROVIDER, claude.PROVIDER, codex.PROVIDER, gemini.PROVIDER))
"""Every provider of this version. To add one, list its module's PROVIDER here."""


def scrub(env: Mapping[str, str]) -> dict[str, str]:
    """`BUILTIN.scrub`: `env` as a fresh login would have it, without what this process' parents left."""
    return BUILTIN.scrub(env)
