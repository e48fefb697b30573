"""What an owner writes of a CLI that has no adapter: the tables of a provider's TOML file, checked.

An argument in `argv` is text in which `{model}` and the like are filled in; a list among them is a group,
left out where one of its values is not there. `{prompt}` and `{approval}` are whole arguments only:
nothing of a prompt can become a part of a flag.
"""

from __future__ import annotations

import enum
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from spawners.providers.base import ApprovalMode
from spawners.providers.manifest import Manifest, of_table

__all__ = [
    "HOLE",
    "Conversation",
    "Definition",
    "DefinitionError",
    "Embedded",
    "Headless",
    "LinePatterns",
    "Template",
    "names_in",
    "parse",
    "screens",
]

VERSION = 1
"""Of this format, and of that of manifests."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
PLACE = re.compile(r"(.*?) - at `(?:key` in `)?\$\.?(.*)`")
"""How msgspec ends what it says of a value that is not at the top."""
HOLE = re.compile(r"\{([a-z_]+)\}")
ALWAYS = frozenset({"approval", "cwd", "state_dir"})
SOMETIMES = frozenset({"model", "session", "resume", "max_turns"})
"""What a spawn may leave out; these stand in a group."""
WHOLE = frozenset({"prompt", "approval"})

Template = list[str | list[str]]
Pattern = Annotated[str, Meta(min_length=1)]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\*?$")]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class DefinitionError(ValueError):
    """The file does not say what it must; the message names the key and what to do."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Cli(Table, frozen=True, kw_only=True):
    """How its version is asked for; the first group of `version_pattern` is the version."""

    version_argv: Annotated[list[str], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["--version"]
    )
    version_pattern: Pattern = r"(\d+\.\d+\S*)"
    proven: str | None = None


class Environment(Table, frozen=True, kw_only=True):
    """`set` holds where nothing else sets it; the others as in `Provider`."""

    set: dict[str, str] = {}
    unset: list[Variable] = []
    variables: list[Variable] = []
    secrets: list[Variable] = []
    marks: list[Variable] = []


class Headless(Table, frozen=True, kw_only=True):
    """One turn whose prompt is given whole: `file` is `{prompt_file}` in argv, `argv` is `{prompt}`."""

    argv: Template
    prompt: Literal["stdin", "file", "argv"] = "stdin"
    stream: Literal["claude-stream-json", "codex-jsonl", "lines", "none"] = "none"


class Conversation(Table, frozen=True, kw_only=True):
    """Turn after turn over stdin and stdout; `asks` if it asks approvals there in mode guarded."""

    argv: Template
    stream: Literal["claude-stream-json", "acp"]
    asks: bool = False


class Embedded(Table, frozen=True, kw_only=True):
    """Its own interface in a terminal."""

    argv: Template


class LinePatterns(Table, frozen=True, kw_only=True):
    """Lines of the stream `lines` that are no answer: a group `said` or the whole line is the error."""

    error: Pattern | None = None
    ignored: Pattern | None = None
    session: Pattern | None = None


class Acp(Table, frozen=True, kw_only=True):
    """`modes` are its names for ours; `login` says what to do when it wants a login."""

    login: str = "log in with its own command, in a terminal"
    modes: dict[ApprovalMode, str] = {}
    sets_model: bool = False


class Definition(Table, frozen=True, kw_only=True):
    """A whole file. `approval` holds the flags of each mode; a mode that is not in it is refused."""

    version: Literal[1]
    binaries: Annotated[list[Annotated[str, Meta(pattern="^[^/]+$")]], Meta(min_length=1)]
    cli: Cli = Cli()
    environment: Environment = Environment()
    approval: Annotated[dict[ApprovalMode, list[str]], Meta(min_length=1)]
    files: dict[FileName, str] = {}
    headless: Headless | None = None
    conversation: Conversation | None = None
    embedded: Embedded | None = None
    lines: LinePatterns = LinePatterns()
    acp: Acp = Acp()
    manifest: dict[str, Any] | None = None

    @property
    def templates(self) -> Iterator[tuple[str, Template]]:
        """Each table with an argv, by its name."""
        for name in ("headless", "conversation", "embedded"):
            table = getattr(self, name)
            if table is not None:
                yield name, table.argv


def parse(name: str, text: str) -> Definition:
    """What the file of the provider `name` says. Raises `DefinitionError`."""
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is no name for a provider: a file is named like its provider, with up to 32 "
            "lower-case letters, digits, - and _"
        )
    try:
        found = msgspec.convert(tomllib.loads(text), Definition)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"it is not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise DefinitionError(_words(str(error))) from None
    _check(name, found)
    return found


def names_in(template: Template) -> frozenset[str]:
    """Every name that is to be filled in."""
    flat = [part for item in template for part in ([item] if isinstance(item, str) else item)]
    return frozenset(name for part in flat for name in HOLE.findall(part))


def _check(name: str, found: Definition) -> None:
    for table, template in found.templates:
        _check_template(table, template, found)
    if not [*found.templates]:
        raise DefinitionError(
            "it can do nothing: add a [headless], [conversation] or [embedded] with an argv"
        )
    patterns: Mapping[str, str | None] = {
        "cli.version_pattern": found.cli.version_pattern,
        **{f"lines.{key}": getattr(found.lines, key) for key in found.lines.__struct_fields__},
    }
    for key, pattern in patterns.items():
        _check_pattern(key, pattern)
    if re.compile(found.cli.version_pattern).groups < 1:
        raise DefinitionError("cli.version_pattern needs a group ( ) around the version")
    try:
        screens(name, found)
    except ValueError as error:
        raise DefinitionError(f"[manifest]: {error}") from None


def screens(name: str, found: Definition) -> Manifest | None:
    """The manifest in the file of the provider `name`; what it need not say is that of any CLI."""
    if found.manifest is None:
        return None
    table = {"version": VERSION, "cli": found.cli.proven or "", **found.manifest}
    submit = table.get("submit", {})
    if isinstance(submit, dict):
        table["submit"] = {"delay_ms": 0, "bracketed_paste": False, "pasted": "(?!)", **submit}
    return of_table(name, table)


def _check_pattern(key: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise DefinitionError(f"{key} is no regular expression: {error}") from None


def _check_template(table: str, template: Template, found: Definition) -> None:
    key = f"{table}.argv"
    prompted = {"headless": _prompted(found.headless), "embedded": frozenset({"prompt"})}.get(
        table, frozenset[str]()
    )
    known = ALWAYS | SOMETIMES | prompted
    for item in template:
        for part in [item] if isinstance(item, str) else item:
            holes = set(HOLE.findall(part))
            if holes - known:
                raise DefinitionError(
                    f"{key}: {part!r} names what cannot be filled in here; known are: "
                    + ", ".join(f"{{{one}}}" for one in sorted(known))
                )
            if holes & WHOLE and not HOLE.fullmatch(part):
                raise DefinitionError(f"{key}: {part!r} must be an argument of its own, without other text")
            alone = holes & (SOMETIMES | (prompted if table == "embedded" else frozenset()))
            if isinstance(item, str) and alone:
                raise DefinitionError(
                    f'{key}: {part!r} may have no value; write it as a group, ["--flag", {part!r}], which '
                    "is left out then"
                )
    names = names_in(template)
    if any(found.approval.values()) and "approval" not in names:
        raise DefinitionError(f'{key}: add "{{approval}}" where the flags of [approval] belong')
    if table == "headless" and prompted - names:
        raise DefinitionError(f"{key}: add {{{min(prompted)}}}, for prompt says so")


def _prompted(headless: Headless | None) -> frozenset[str]:
    asked = {"argv": "prompt", "file": "prompt_file"}.get(headless.prompt if headless else "")
    return frozenset({asked} if asked else ())


def _words(error: str) -> str:
    """msgspec's words with the key as it stands in the file, and what may stand there."""
    found = PLACE.fullmatch(error)
    message, key = found.groups() if found else (error, "")
    if "missing required field" in message:
        absent = message.partition("`")[2].strip("`")
        return f"the key {f'{key}.{absent}' if key else absent} is missing: add it"
    if "unknown field" in message:
        field = message.partition("`")[2].strip("`")
        where = f"{key}.{field}" if key else field
        return f"there is no key {where}; known are: {', '.join(_hint(key).__struct_fields__)}"
    if "enum value" in message:
        return f"{key}: {message}; known are: {', '.join(map(str, _choices(_hint(key))))}"
    if key.startswith("binaries") and "regex" in message:
        return f"{key}: a program is named without its folder: it is looked for on PATH"
    return f"{key}: {message}" if key else message


def _hint(key: str) -> Any:
    """The type of what stands at `key`; of a table its class."""
    found: Any = Definition
    for part in filter(None, key.split(".")):
        found = typing.get_type_hints(found)[part]
        found = next((each for each in typing.get_args(found) if hasattr(each, "__struct_fields__")), found)
    return found


def _choices(hint: Any) -> list[Any]:
    """The values of a `Literal`, or the keys of a dict whose keys are an enum's."""
    first, *rest = typing.get_args(hint)
    return list(first) if isinstance(first, enum.EnumType) else [first, *rest]
