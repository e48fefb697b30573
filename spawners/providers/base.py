"""The port every provider implements, and the frozen values that go into it and come out of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from spawners.errors import SpawnerError
from spawners.launch import Stdin
from spawners.providers.events import Event
from spawners.providers.manifest import Manifest

__all__ = [
    "Ability",
    "ApprovalMode",
    "Ask",
    "Decision",
    "Dialogue",
    "Edit",
    "Opening",
    "Plan",
    "Provider",
    "ProviderError",
    "UnknownProvider",
]


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

    `conversation` asks for a run that takes further messages, `asks` says that somebody answers what
    it asks approval for. `trusted` means that the owner has consented to this folder. `hook` is the
    argv of a program that takes the CLI's hook messages on stdin (None: no hooks), `max_turns` how
    often the model may answer and `max_cost_usd` what the run may cost, where the CLI itself can be told.
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
    conversation: bool = False
    asks: bool = False
    trusted: bool = False
    max_turns: int | None = None
    max_cost_usd: float | None = None
    hook: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Set one value in a JSON file of the CLI's, and leave all else in it as it is.

    `path` is absolute, `keys` lead to the value. With `append` the value joins the list that is there,
    unless it is in it. With `only_absent` a value that is there stays.
    """

    path: str
    keys: tuple[str, ...]
    value: Any
    append: bool = False
    only_absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to start it: the exact argv and what it needs around it.

    `files` are to be written (0600) into the ask's `state_dir` before the program runs; names hold
    no slash. `env` is laid over the ask's environment, after the names in `unset` were taken out.
    `edits` settle the CLI's first-start dialogs in its own files before it runs. `opening` is what its
    `dialogue` is made of; None: its output has no meaning to us. `session_id` is the conversation's id
    where it is known before anything runs.
    """

    argv: tuple[str, ...]
    stdin: Stdin = field(default_factory=Stdin)
    env: Mapping[str, str] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    files: Mapping[str, bytes] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    opening: Opening | None = None
    session_id: str | None = None

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The whole environment to start with, where `base` is the `env` of the ask."""
        return {name: value for name, value in base.items() if name not in self.unset} | dict(self.env)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How the words with a headless CLI begin: all that its `Dialogue` is made of, and can be written down.

    `channel` is the provider's own name for what is spoken; `stream` means that it is only listened to.
    With `keep` the conversation goes on after the first turn until it is told to finish, with `asks`
    somebody answers approvals; without, what would have to be asked is denied. A CLI that is still there
    `linger_s` after all was said and its stdin was closed does not end by itself and is ended.
    """

    channel: str = "stream"
    prompt: str | None = None
    cwd: str = ""
    model: str | None = None
    approval_mode: ApprovalMode = ApprovalMode.GUARDED
    session_id: str | None = None
    resume: str | None = None
    keep: bool = False
    asks: bool = False
    linger_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to an approval: `input` (JSON) replaces what the tool was to get, `reason` goes to the
    model where the CLI hands it on."""

    allow: bool
    reason: str = ""
    input: str | None = None


class Dialogue(Protocol):
    """Speaks with one headless CLI: takes its stdout in chunks cut anywhere, and says what to write.

    Deterministic: made of the same `Opening`, fed the same bytes and told the same things at the same
    places, it always wants the same bytes written. No clock, no random ids. That is how a new daemon
    takes over a conversation. It never raises on what it reads.
    """

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of stdout (not of stderr), and return what they say.

        None (`b""`) return what has happened by what it was told, as a turn that has begun.
        """

    def take_outgoing(self) -> bytes:
        """What is to be written to stdin now, each byte once."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be said: stdin can be closed once all was written."""

    def send(self, text: str) -> None:
        """Say `text` as the next message. Raises `ProviderError` (`unsupported`) if it cannot be."""

    def interrupt(self) -> None:
        """End the present turn and nothing else. Raises `ProviderError` (`unsupported`)."""

    def decide(self, request_id: str, decision: Decision) -> None:
        """Answer an `ApprovalAsked`. Raises `ProviderError`: `invalid` for one that is not (any longer)
        asked, `unsupported` for a decision that the CLI has no words for (changed input, say)."""

    def change(self, model: str | None, approval_mode: ApprovalMode | None) -> None:
        """Go on with another model or mode. Raises `ProviderError` (`unsupported`)."""

    def finish(self) -> None:
        """Let the CLI end once its turn is over."""

    def end(self) -> list[Event]:
        """Return what the end of stdout says: the end of a turn, where the CLI has no word for that."""


class Ability(enum.StrEnum):
    """What a provider can do beyond running a prompt to its end; each is shown by `muster providers`."""

    RESULT = "result"
    RESUME = "resume"
    SESSION_ID = "session-id"
    CONVERSATION = "conversation"
    APPROVALS = "approvals"
    INTERRUPT = "interrupt"
    CHANGE_MODEL = "change-model"
    CHANGE_MODE = "change-mode"
    HOOKS = "hooks"
    MAX_TURNS = "max-turns"
    COST = "cost"


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
    def proven(self) -> str | None:
        """The version that flags, streams and screens were run with; None: none was."""

    @property
    def modes(self) -> tuple[str, ...]: ...

    @property
    def approval_modes(self) -> tuple[ApprovalMode, ...]:
        """The modes that it can hold an agent to; `plan` refuses the others."""

    @property
    def abilities(self) -> frozenset[Ability]: ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Environment variables the CLI sets for its own children, as names or with a final `*`."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables of the host that the CLI may need (keys, endpoints, config folders),
        as names or with a final `*`. They pass from the host's environment and never stand in argv."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those of `variables` that hold keys: no spawn from elsewhere may set them."""

    def plan(self, ask: Ask) -> Plan:
        """How to start what is asked. Raises `ProviderError`; never weakens what was asked."""

    def dialogue(self, opening: Opening) -> Dialogue:
        """What speaks with a run that `plan` gave this `opening`."""

    def hook(self, payload: Mapping[str, Any]) -> list[Event]:
        """What a message of the CLI's own hooks says; never raises on what is in it."""

    def manifest(self) -> Manifest | None:
        """What is known of its interface in a terminal; None: nothing."""

    def parse_version(self, text: str) -> str | None:
        """The version in what `version_argv` printed; None if this is not the CLI we know."""
