"""`muster orchestrator`: this host's daemon in the foreground."""

from __future__ import annotations

import os
import sys

import typer

__all__ = ["command"]


def command(ctx: typer.Context) -> None:
    """Run this host's daemon here; its options are `python -m orchestrator`'s own (try --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "orchestrator", *ctx.args])  # noqa: S606 - there is no shell to want
