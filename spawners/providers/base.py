"""The port every provider implements, and the frozen values that go into it and come out of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from spawners.errors import SpawnerError
from spawners.launch import Stdin
from spawners.providers.manifest import Manifest

__all__ = [
    "MAX_TEXT",
    "ApprovalMode",
    "Ask",
    "Outcome",
    "Plan",
    "Provider",
    "ProviderError",
    "Reader",
    "UnknownProvider",
    "clip",
]

MAX_TEXT = 64 * 1024
"""Characters of an answer or an error that are kept in an `Outcome`; all of it stays in the output."""


class ProviderError(SpawnerError):
    """What was asked cannot be turned into a program; nothing has been started.

    `code` is `invalid` (the request contradicts itself or is malformed: change it) or `unsupported`
    (this provider, or this host, cannot do it: ask for something else). The message says what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnknownProvider(ProviderError):
    """No provider has this name; `known` lists those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__("unknown_provider", f"there is no provider {name!r}; known are: {', '.join(known)}")
        self.name = name
        self.known = known


class ApprovalMode(enum.StrEnum):
    """What an agent may do without anybody being asked; each provider maps it to its own flags.

    `read-only`: look, change nothing. `guarded`: edit files where it was started, run only what is
    harmless or sandboxed. `open`: anything. A provider that cannot hold a mode refuses it.
    """

    READ_ONLY = "read-only"
    GUARDED = "guarded"
    OPEN = "open"

    @classmethod
    def parse(cls, text: str) -> ApprovalMode:
        """The mode of this name. Raises `ProviderError` (`invalid`) with the names there are."""
        try:
            return cls(text)
        except ValueError:
            message = f"there is no approval mode {text!r}; use one of: {', '.join(cls)}"
            raise ProviderError("invalid", message) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a spawn asks of a provider. Either `prompt` or `argv` is given, or neither in mode `embedded`.

    `env` is the environment the program is about to get (`Registry.environment`), PATH included; a
    provider reads it to decide and never changes it. `executable` is the absolute path of the
    provider's CLI as found on this host, None if it is not installed. `state_dir` is an absolute,
    private directory of this agent where `Plan.files` will be written. `session_id` is an id chosen
    for a new conversation, `resume` the id of an earlier one to go on with. `stdin` None means that
    none was given; `superuser` that the program will run as root.
    """

    mode: str
    cwd: str
    env: Mapping[str, str]
    state_dir: str
    prompt: str | None = None
    argv: tuple[str, ...] | None = None
    executable: str | None = None
    model: str | None = None
    approval_mode: ApprovalMode = ApprovalMode.GUARDED
    session_id: str | None = None
    resume: str | None = None
    stdin: bytes | None = None
    stdin_live: bool = False
    superuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to start it: the exact argv and what it needs around it.

    `files` are to be written (0600) into the ask's `state_dir` before the program runs; names hold
    no slash. `env` is laid over the ask's environment, after the names in `unset` were taken out.
    """

    argv: tuple[str, ...]
    stdin: Stdin = field(default_factory=Stdin)
    env: Mapping[str, str] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    files: Mapping[str, bytes] = field(default_factory=dict)

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The whole environment to start with, where `base` is the `env` of the ask."""
        return {name: value for name, value in base.items() if name not in self.unset} | dict(self.env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a CLI's own output says about its run, as far as it has been read.

    `ready` once the CLI has said that it is up. `text` is the final answer. `error` is the CLI's own
    word for a failure: with it the run has failed even if the exit code is 0. `finished` once the
    event that closes a run was seen; a run that was killed never has one.
    """

    session_id: str | None = None
    ready: bool = False
    text: str | None = None
    error: str | None = None
    finished: bool = False

    @property
    def failure(self) -> str | None:
        """Why the run has failed although its program exited 0, once all of its output was read.

        Without an error it is that the run has begun and has no end: claude, interrupted before the
        first word of its answer, exits 0 and prints nothing more.
        """
        if self.error is None and self.ready and not self.finished:
            return "its run has no end, as when it is interrupted"
        return self.error


class Reader(Protocol):
    """Reads one agent's stdout as it comes, in chunks cut anywhere. Never raises on what it reads."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of stdout (not of stderr)."""

    def outcome(self) -> Outcome | None:
        """What is known so far; None while nothing the provider says has been understood."""


class Provider(Protocol):
    """The adapter of one CLI.

    Add one by writing a file beside this one that ends in `PROVIDER = …` and listing it in
    `registry.py`; `tests/spawners/providers/` holds every listed one to this text.
    """

    @property
    def name(self) -> str: ...

    @property
    def binaries(self) -> tuple[str, ...]:
        """Names to look for on PATH, in order; empty for a provider that runs whatever it is given."""

    @property
    def version_argv(self) -> tuple[str, ...]:
        """Arguments after the binary that print its version and end. Never empty: see the CLIs that
        install things when they are started bare."""

    @property
    def modes(self) -> tuple[str, ...]: ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Environment variables the CLI sets for its own children, as names or with a final `*`."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables of the host that the CLI may need (keys, endpoints, config folders),
        as names or with a final `*`. They pass from the host's environment and never stand in argv."""

    def plan(self, ask: Ask) -> Plan:
        """How to start what is asked. Raises `ProviderError`; never weakens what was asked."""

    def manifest(self) -> Manifest | None:
        """What is known of its interface in a terminal; None: nothing."""

    def parse_version(self, text: str) -> str | None:
        """The version in what `version_argv` printed; None if this is not the CLI we know."""

    def reader(self) -> Reader:
        """A new reader for the output of one headless run."""


def clip(text: str) -> str:
    """`text` as it can be stored anywhere: at most `MAX_TEXT` characters, no NUL, valid Unicode."""
    cut = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return cut.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
