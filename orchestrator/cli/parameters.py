"""The options that several commands share, spelled once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from orchestrator.cli.completion import complete_agents, complete_approvals, complete_hosts

__all__ = ["AgentArg", "AgentsArg", "ApprovalArg", "HostOpt", "JsonOpt", "RelayOpt", "takes"]

Options = TypeVar("Options")

HostOpt = Annotated[
    str | None,
    typer.Option(
        "--host", metavar="HOST", help="Ask the relay, about this host.", autocompletion=complete_hosts
    ),
]
RelayOpt = Annotated[
    bool, typer.Option("-r", "--relay-wide", help="Ask the relay, about all hosts, instead of this host.")
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print the wire JSON.")]


def _names(value: str | list[str]) -> str | list[str]:
    """An empty name is that of a shell variable without a value; no agent is called like a folder."""
    for name in [value] if isinstance(value, str) else value:
        if not name.strip() or name in (".", ".."):
            raise typer.BadParameter(f"{name!r} names nothing here: give an id, the start of one, or a label")
    return value


AgentArg = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="An id, a unique prefix of one, or a label.",
        autocompletion=complete_agents,
        callback=_names,
    ),
]
AgentsArg = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="Ids, unique prefixes, or labels.",
        autocompletion=complete_agents,
        callback=_names,
    ),
]
ApprovalArg = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="An approval's id, the start of one, or the agent that asks.",
        autocompletion=complete_approvals,
        callback=_names,
    ),
]


def takes(
    options: type[Options],
) -> Callable[[Callable[[typer.Context, Options], None]], Callable[..., None]]:
    """Make a command of a function that takes its options as one dataclass.

    Typer reads a command's parameters from its signature; the signature is made here from the
    dataclass's fields, so that two commands can share one set of options.
    """

    def decorate(function: Callable[[typer.Context, Options], None]) -> Callable[..., None]:
        def command(ctx: typer.Context, **values: Any) -> None:
            function(ctx, options(**values))

        hints = get_type_hints(options, include_extras=True)
        parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        parameters += [_parameter(field, hints[field.name]) for field in fields(options)]  # type: ignore[arg-type]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {"ctx": typer.Context, **hints}
        command.__doc__ = function.__doc__
        return command

    return decorate


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    if default is MISSING:
        default = inspect.Parameter.empty
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
