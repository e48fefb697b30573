"""`muster relay`: the relay in the foreground."""

from __future__ import annotations

import os
import sys

import typer

__all__ = ["command"]


def command(ctx: typer.Context) -> None:
    """Run the relay here; its options are `python -m relay`'s own (try --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "relay", *ctx.args])  # noqa: S606 - there is no shell to want
