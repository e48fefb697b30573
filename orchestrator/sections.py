"""The tables of `config.toml`: what an owner may set, with the words that people read about each key."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from orchestrator.detach_keys import PATTERN as KEYS_PATTERN
from orchestrator.terminal_size import PATTERN as SIZE_PATTERN

__all__ = [
    "Approvals",
    "Attention",
    "Host",
    "Keep",
    "Keeper",
    "Log",
    "Policy",
    "Relay",
    "Section",
    "Spool",
    "Terminal",
]

Approval = Literal["read-only", "guarded", "open"]
Natural = Annotated[int, Meta(ge=0)]
Url = Annotated[str, Meta(pattern="^(https?://[^ ]+)?$")]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Relay(Section, frozen=True, kw_only=True):
    url: Annotated[
        Url, Meta(description="the relay to use, as http(s)://HOST:PORT; empty: the embedded one")
    ] = ""
    token: Annotated[
        str, Meta(description="the token for it; empty: the one that the embedded relay made")
    ] = ""


class Host(Section, frozen=True, kw_only=True):
    id: Annotated[
        str,
        Meta(
            description="this host's stable name at the relay; empty: its host name",
            pattern="^[A-Za-z0-9._-]{0,64}$",
        ),
    ] = ""
    labels: Annotated[
        dict[str, str],
        Meta(description="facts to place spawns by, as zone = 'eu' (variable: zone=eu,gpu=yes)"),
    ] = {}
    base_dir: Annotated[
        str, Meta(description="where an agent without a cwd starts; empty: the user's home")
    ] = ""


class Policy(Section, frozen=True, kw_only=True):
    """What may run here, whoever asks. Lists name what is allowed: `*` is everything, none is nothing."""

    providers: Annotated[list[str], Meta(description="providers that may be used; * for all")] = (
        msgspec.field(default_factory=lambda: ["*"])
    )
    base_dirs: Annotated[
        list[str], Meta(description="folders that agents may start in, symlinks resolved; * for anywhere")
    ] = msgspec.field(default_factory=lambda: ["*"])
    trust: Annotated[
        list[str],
        Meta(description="folders whose agents' CLIs need not ask whether to trust them; see `muster trust`"),
    ] = msgspec.field(default_factory=list)
    env_allow: Annotated[
        list[str], Meta(description="variables a spawn may set, as NAME or PREFIX_*; * for all")
    ] = msgspec.field(default_factory=lambda: ["*"])
    approval_max: Annotated[
        Approval, Meta(description="the highest approval mode: read-only, guarded or open")
    ] = "open"
    max_agents: Annotated[
        Natural, Meta(description="agents at the same time; further spawns are refused")
    ] = 256
    turns_max: Annotated[
        Natural,
        Meta(description="most answers of the model in a run, given to those without; 0: no limit"),
    ] = 0
    cost_max: Annotated[
        float,
        Meta(description="most that a run may cost in USD, given to those without; 0: no limit", ge=0),
    ] = 0.0
    timeout_max: Annotated[
        Natural,
        Meta(description="longest life of an agent in seconds, given to those without one; 0: no limit"),
    ] = 0
    memory_max: Annotated[
        Natural,
        Meta(description="most memory of an agent's tree in bytes, given to those without one; 0: no limit"),
    ] = 0
    cpus_max: Annotated[
        float,
        Meta(
            description="most CPUs of an agent's tree (1.5: one and a half), given to those without; 0: all",
            ge=0,
        ),
    ] = 0.0
    remote_spawns: Annotated[
        Literal["allow", "deny"], Meta(description="whether spawns that come through the relay are taken")
    ] = "allow"


class Approvals(Section, frozen=True, kw_only=True):
    """What becomes of what an agent asks, where its spawn does not say."""

    ask: Annotated[
        bool,
        Meta(description="whether what an agent asks waits for `muster approve`; else it is denied at once"),
    ] = True
    timeout: Annotated[
        Natural, Meta(description="seconds until what nobody has answered is denied; 0: never")
    ] = 600


class Attention(Section, frozen=True, kw_only=True):
    """When an agent that seems to be stuck is worth looking at. Nothing is ended for it."""

    same_calls: Annotated[
        int, Meta(description="equal calls of a tool in a row until somebody should look", ge=2)
    ] = 5
    silent: Annotated[
        int, Meta(description="seconds without a sign of progress of a busy agent until then", ge=10)
    ] = 600


class Keep(Section, frozen=True, kw_only=True):
    """How long what is left of ended agents stays. Never touches one that runs."""

    records_days: Annotated[Natural, Meta(description="days until an ended agent's record is deleted")] = 7
    spools_hours: Annotated[Natural, Meta(description="hours until an ended agent's output is deleted")] = 24
    spools_bytes: Annotated[
        Natural, Meta(description="bytes of output of ended agents kept in all, newest first")
    ] = 10_000_000_000


class Spool(Section, frozen=True, kw_only=True):
    bytes: Annotated[
        int, Meta(description="bytes of output kept of one agent; the oldest go first", ge=64 * 1024)
    ] = 64 * 1024 * 1024


class Terminal(Section, frozen=True, kw_only=True):
    """Of agents in a terminal, and of those who attach to one from here."""

    size: Annotated[
        str,
        Meta(description="columns x rows of an embedded agent that nobody gave a size", pattern=SIZE_PATTERN),
    ] = "80x24"
    sizing: Annotated[
        Literal["active", "smallest"],
        Meta(description="whose size counts among several viewers: active (who typed last) or smallest"),
    ] = "active"
    detach_keys: Annotated[
        str,
        Meta(
            description="what detaches `muster attach`: ctrl-X, then more keys after blanks; or none",
            pattern=KEYS_PATTERN,
        ),
    ] = "ctrl-] d"
    app: Annotated[
        str,
        Meta(description="the terminal of mode terminal: a name, or an argv with {command}; empty: found"),
    ] = ""
    window_timeout: Annotated[
        int, Meta(description="seconds for a window to report in, then the next terminal is tried", ge=1)
    ] = 15
    fallback: Annotated[
        Literal["embedded", "error"],
        Meta(description="what mode terminal does where no window opens: embedded (with a notice) or error"),
    ] = "embedded"
    hold: Annotated[
        Literal["always", "error", "never"],
        Meta(description="when a window stays until Enter after its agent has ended: always, error or never"),
    ] = "error"
    on_window_close: Annotated[
        Literal["detach", "stop"],
        Meta(description="what closing a window does to its agent: detach (it runs on) or stop"),
    ] = "detach"


class Keeper(Section, frozen=True, kw_only=True):
    zygote: Annotated[
        bool, Meta(description="whether keepers are forked from one server instead of executed (Linux only)")
    ] = True


class Log(Section, frozen=True, kw_only=True):
    format: Annotated[Literal["console", "json"], Meta(description="console or json")] = "console"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="debug, info, warning or error")
    ] = "info"
