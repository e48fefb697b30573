"""`muster hook`: what a CLI's own hook says, handed on to the daemon. Answered before this is imported."""

from __future__ import annotations

from typing import Annotated

import typer

from spawners.hook import program

__all__ = ["command"]


def command(
    message: Annotated[
        str | None, typer.Argument(metavar="[JSON]", help="The message; without it stdin is read.")
    ] = None,
) -> None:
    """Tell the daemon what a hook of an agent's CLI says. Prints nothing and takes 0.3 s at most."""
    program.main()
