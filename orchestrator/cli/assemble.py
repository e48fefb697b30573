"""The command line, put together of the commands that are needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Annotated

import typer

__all__ = ["build"]

HIDDEN = frozenset({"window"})
"""These are for Muster itself."""

TAKES_ANYTHING = frozenset({"relay", "orchestrator"})
"""These hand all their options on to another program, which explains them itself."""


def build(names: Iterable[str]) -> typer.Typer:
    """The command line with the commands of these names."""
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
            app.command(name, hidden=name in HIDDEN)(module.command)
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
