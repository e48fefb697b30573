"""The entry point: finds the command that was typed, and turns every failure into a line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

__all__ = ["COMMANDS", "main"]

COMMANDS: tuple[str, ...] = (
    "up",
    "down",
    "spawn",
    "run",
    "ps",
    "show",
    "logs",
    "attach",
    "screen",
    "send",
    "resize",
    "export",
    "wait",
    "stop",
    "kill",
    "hosts",
    "providers",
    "doctor",
    "token",
    "config",
    "relay",
    "orchestrator",
)
"""In the order of `muster --help`. Each is a module here with a `command` to run or an `app` of its own."""

TAKES_ARGV = frozenset({"spawn", "run"})
TAKES_ANYTHING = frozenset({"relay", "orchestrator"})
"""These hand all their options on to another program, which explains them itself."""


def main() -> None:
    """Run `muster` with `sys.argv` and exit."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # its own command line: 25 ms
    arguments = sys.argv[1:]
    command = _command(arguments)
    argv: list[str] | None = None
    if command in TAKES_ARGV and "--" in arguments:
        position = arguments.index("--")
        arguments, argv = arguments[:position], arguments[position + 1 :]
    app = _build([command] if command else COMMANDS)
    try:
        app(args=arguments, prog_name="muster", obj=argv)
    except BrokenPipeError:
        _abandon_stdout()
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        from orchestrator.cli.failures import explain

        sys.exit(explain(error))


def _abandon_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush does not complain."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())


def _command(arguments: Sequence[str]) -> str | None:
    """Return the command that was typed (or is being completed), or None to load all of them."""
    words = arguments
    if "_MUSTER_COMPLETE" in os.environ:
        typed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
        words = typed.split()[1:]
        if len(words) < 2 and not typed.endswith((" ", "\n")):
            return None
    return words[0] if words and words[0] in COMMANDS else None


def _build(names: Iterable[str]) -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Run AI coding CLIs on many machines and never lose track of one.",
    )
    app.callback()(_root)
    for name in names:
        module = importlib.import_module(f"orchestrator.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        elif name in TAKES_ANYTHING:
            settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
            app.command(name, context_settings=settings)(module.command)
        else:
            app.command(name)(module.command)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"muster {version('musterd')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run AI coding CLIs on many machines and never lose track of one."""


if __name__ == "__main__":
    main()
