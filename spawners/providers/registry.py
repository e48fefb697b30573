"""Name → provider. An unknown name is an error, never a default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from spawners.providers import aider, claude, codex, command, copilot, gemini, opencode, qwen
from spawners.providers.base import Provider, UnknownProvider
from spawners.providers.environment import (
    OTHER_MARKS,
    OWN_MARKS,
    SHELL_MARKS,
    TERMINAL_MARKS,
    Names,
    without,
)

__all__ = ["BUILTIN", "HERE", "Registry"]

HERE = "builtin"
"""The source of the providers that come with this version."""


class Registry:
    """The providers a host has adapters for, in the order given. Names are unique: the last one counts.

    `sources` says where those are from that do not come with this version, `problems` which could not be
    taken up and why, in words for the owner.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        sources: Mapping[str, str] | None = None,
        problems: Iterable[str] = (),
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._sources = dict(sources or {})
        self.problems = tuple(problems)
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

    def source(self, name: str) -> str:
        """Where the adapter called `name` is from: `HERE`, or a file or package of the owner's."""
        return self._sources.get(name, HERE)

    def secrets(self) -> frozenset[str]:
        """Every variable that holds some provider's key."""
        return frozenset(name for provider in self for name in provider.secrets)

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


BUILTIN = Registry(
    (
        command.PROVIDER,
        claude.PROVIDER,
        codex.PROVIDER,
        gemini.PROVIDER,
        opencode.PROVIDER,
        copilot.PROVIDER,
        qwen.PROVIDER,
        aider.PROVIDER,
    )
)
"""Those of this version. To add one, list its module's PROVIDER here."""
