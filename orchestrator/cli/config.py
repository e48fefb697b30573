"""`muster config`: read and change this host's settings."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Annotated, Any

import tomli_w
import typer

from orchestrator.cli.output import facts, print_json
from orchestrator.cli.parameters import JsonOpt
from orchestrator.config import KEYS, Config, Key, check, find_key, parse_value, read_file
from relay.wire.home import Home

__all__ = ["app", "edit"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Read and change this host's settings.")


def _complete_keys(ctx: Any, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    return [(key.name, key.doc) for key in KEYS if key.name.startswith(incomplete)]


KeyArg = Annotated[
    str,
    typer.Argument(metavar="KEY", help="As `muster config list` shows it.", autocompletion=_complete_keys),
]


@app.command("list")
def list_keys(json: JsonOpt = False) -> None:
    """List every setting with its value and what it is for."""
    config = Config.load(Home.from_environment())
    if json:
        print_json({key.name: _shown(key, config.get(key)) for key in KEYS})
        return
    facts((key.name, f"{_text(_shown(key, config.get(key))) or '(empty)'}\n{key.doc}") for key in KEYS)


@app.command()
def get(name: KeyArg, json: JsonOpt = False) -> None:
    """Print one setting as it is in force: from its variable, the file, or the default."""
    key = find_key(name)
    value = Config.load(Home.from_environment()).get(key)
    if json:
        print_json(value)
    else:
        print(_text(value))


@app.command("set", context_settings={"ignore_unknown_options": True})  # a value may begin with a dash
def set_key(
    name: KeyArg,
    value: Annotated[str, typer.Argument(help="Lists with commas; tables as name=value with commas.")],
) -> None:
    """Write one setting to the file. The daemon reads it at its next start."""
    key = find_key(name)
    parsed = parse_value(key, value)
    home = Home.from_environment()
    data = read_file(home.config_file)
    check(data, home.config_file)
    data.setdefault(key.section, {})[key.option] = parsed
    _write(home, key, data)
    if os.environ.get(key.variable):
        typer.echo(f"muster: {key.variable} is set and overrides the file", err=True)


@app.command()
def unset(name: KeyArg) -> None:
    """Take one setting out of the file, back to its default."""
    key = find_key(name)
    home = Home.from_environment()
    data = read_file(home.config_file)
    data.get(key.section, {}).pop(key.option, None)
    _write(home, key, data)


@app.command()
def path() -> None:
    """Print where the file is."""
    print(Home.from_environment().config_file)


def _write(home: Home, key: Key, data: dict[str, Any]) -> None:
    try:
        with open(home.config_file, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    os.makedirs(home.config, mode=0o700, exist_ok=True)
    home.write_private(home.config_file, edit(text, key, data))


def edit(text: str, key: Key, data: dict[str, Any]) -> str:
    """Return `text` changed to say `data`, which differs from it in `key` only.

    What people wrote around it stays, as long as the key's value is on one line; else the file is
    written anew, without its comments.
    """
    lines = text.splitlines(keepends=True)
    value = data.get(key.section, {}).get(key.option)
    new = [] if value is None else [f"{key.option} = {_toml(value)}\n"]
    header = next((i for i, line in enumerate(lines) if re.match(rf"\s*\[{key.section}\]", line)), None)
    if header is None:
        lines += ["\n"] * bool(lines) + [f"[{key.section}]\n", *new]
    else:
        end = next(
            (i for i in range(header + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines)
        )
        found = [i for i in range(header + 1, end) if re.match(rf"\s*{key.option}\s*=", lines[i])]
        lines[found[0] if found else header + 1 : found[0] + 1 if found else header + 1] = new
    changed = "".join(line if line.endswith("\n") else line + "\n" for line in lines)
    try:
        if _without_empty(tomllib.loads(changed)) == _without_empty(data):
            return changed
    except tomllib.TOMLDecodeError:
        pass
    return tomli_w.dumps(data)


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {section: table for section, table in data.items() if table}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def _shown(key: Key, value: Any) -> Any:
    """A listing is copied into bug reports, so it does not hold the token."""
    return "(set)" if key.name == "relay.token" and value else value


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
