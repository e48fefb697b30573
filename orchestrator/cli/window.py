"""`muster window`: what runs in a native window. Started by the script that a daemon has written for it."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.windowing import run

__all__ = ["command"]


def command(window_id: Annotated[str, typer.Argument(metavar="ID", help="The window's id.")]) -> None:
    """Report that this window is open, and show its agent in it. Always exits 0, so that it closes."""
    run(window_id)
