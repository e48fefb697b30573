"""What a host is told by its owner: `config.toml`, and environment variables over it.

The structs in `sections.py` are the only list of keys: their types check the file, their descriptions are
what `muster config list` prints, and `MUSTER_` with the key in capitals (`policy.max_agents` →
`MUSTER_POLICY_MAX_AGENTS`) is the variable that overrides one.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.sections import (
    Approvals,
    Attention,
    Host,
    Keep,
    Keeper,
    Log,
    Policy,
    Relay,
    Section,
    Spool,
    Terminal,
)
from relay.wire.home import Home

__all__ = [
    "KEYS",
    "Approvals",
    "Attention",
    "Config",
    "ConfigError",
    "Host",
    "Keep",
    "Keeper",
    "Key",
    "Log",
    "Policy",
    "Relay",
    "Spool",
    "Terminal",
    "parse_value",
]

ENV_PREFIX = "MUSTER_"
ENV_EXCEPTIONS = {"relay.token": "MUSTER_TOKEN", "keeper.zygote": "MUSTER_ZYGOTE"}
"""Variables whose names are in the contract (DESIGN §7) or known well, and do not follow from their keys."""


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file or variable, the key and what to do."""


class Config(Section, frozen=True, kw_only=True):
    """Every setting of this host. Immutable: a daemon reads it once, at its start."""

    relay: Relay = Relay()
    host: Host = Host()
    policy: Policy = Policy()
    approvals: Approvals = Approvals()
    attention: Attention = Attention()
    keep: Keep = Keep()
    spool: Spool = Spool()
    terminal: Terminal = Terminal()
    keeper: Keeper = Keeper()
    log: Log = Log()

    @classmethod
    def load(cls, home: Home, environ: Mapping[str, str] | None = None) -> Config:
        """Return what `home.config_file` and `environ` (default: `os.environ`) say.

        An absent file is an empty one. Raises `ConfigError` for a file that cannot be read or parsed,
        an unknown key, or a value of another type or outside its limits.
        """
        data = read_file(home.config_file)
        check(data, home.config_file)
        for key in KEYS:
            text = (os.environ if environ is None else environ).get(key.variable)
            if text:
                section = data.setdefault(key.section, {})
                section[key.option] = parse_value(key, text, source=f"the variable {key.variable}")
        return msgspec.convert(data, cls)

    @property
    def host_id(self) -> str:
        """`host.id`, or this machine's name with what ids may not hold replaced by `-`."""
        return self.host.id or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "localhost"

    @property
    def base_dir(self) -> str:
        """`host.base_dir` as an absolute path, or the user's home."""
        return os.path.abspath(os.path.expanduser(self.host.base_dir or "~"))

    def get(self, key: Key) -> Any:
        """Return the value of `key`."""
        return getattr(getattr(self, key.section), key.option)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: `name` is `section.option`, `type` its annotation, `doc` one line for people."""

    name: str
    type: Any
    default: Any
    doc: str

    @property
    def section(self) -> str:
        return self.name.partition(".")[0]

    @property
    def option(self) -> str:
        return self.name.partition(".")[2]

    @property
    def variable(self) -> str:
        return ENV_EXCEPTIONS.get(self.name) or ENV_PREFIX + self.name.upper().replace(".", "_")

    @property
    def plain(self) -> Any:
        """The type without its limits."""
        found = self.type
        while typing.get_origin(found) is Annotated:
            found = typing.get_args(found)[0]
        return typing.get_origin(found) or found


def _keys() -> Iterator[Key]:
    for section, struct in typing.get_type_hints(Config).items():
        hints = typing.get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            metas = [meta for meta in typing.get_args(hints[field.name]) if isinstance(meta, Meta)]
            doc = next(meta.description for meta in metas if meta.description)
            yield Key(f"{section}.{field.name}", hints[field.name], default, doc)


KEYS: tuple[Key, ...] = tuple(_keys())
"""Every key there is, in the order of the file."""


def find_key(name: str) -> Key:
    """Return the key called `name`. Raises `ConfigError` that lists all of them."""
    for key in KEYS:
        if key.name == name:
            return key
    raise ConfigError(f"there is no setting {name!r}; known are: {', '.join(key.name for key in KEYS)}")


def read_file(path: str) -> dict[str, Any]:
    """Return the tables of a TOML file, empty if it does not exist. Raises `ConfigError`."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def check(data: Mapping[str, Any], path: str) -> None:
    """Raise `ConfigError`, naming `path`, line and key, unless `data` is a valid configuration."""
    for section, table in data.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{_where(path, section)}: {section!r} must be inside a [section]; {_known()}")
        for option, value in table.items():
            name = f"{section}.{option}"
            key = next((key for key in KEYS if key.name == name), None)
            if key is None:
                raise ConfigError(f"{_where(path, option)}: there is no setting {name!r}; {_known()}")
            _convert(key, value, strict=True, source=_where(path, option))


def parse_value(key: Key, text: str, *, source: str = "the value") -> Any:
    """Return `text`, as typed by a person, as a value of `key`.

    Lists are separated by commas, tables are `name=value` pairs separated by commas. Raises
    `ConfigError` that begins with `source`.
    """
    value: Any = text
    if key.plain is list:
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif key.plain is dict:
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        if any(not equals or not name.strip() for name, equals, _ in pairs):
            raise ConfigError(
                f"{source}: {key.name} must be name=value pairs separated by commas, not {text!r}"
            )
        value = {name.strip(): content.strip() for name, _, content in pairs}
    return _convert(key, value, strict=False, source=source)


def _convert(key: Key, value: Any, *, strict: bool, source: str) -> Any:
    try:
        return msgspec.convert(value, key.type, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {key.name} cannot be {value!r} ({error}); it is: {key.doc}") from None


def _known() -> str:
    return "known are: " + ", ".join(key.name for key in KEYS)


def _where(path: str, option: str) -> str:
    """Return `path`, with the line that `option` is on where it can be told."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if re.match(rf"\s*\[?\s*[\"']?{re.escape(option)}[\"']?\s*[=.\]]", line):
                    return f"{path}:{number}"
    except OSError:
        pass
    return path
