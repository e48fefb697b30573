"""What a person writes for sizes and amounts on the command line, and what is wrong with it."""

from __future__ import annotations

import math
import re

import typer

from orchestrator.terminal_size import parse_size
from relay.wire.limits import MAX_CPUS
from spawners.launch import Size

__all__ = ["cells", "cores", "memory"]

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def cells(text: str | None, hint: str) -> Size | None:
    """Return the terminal size `text` means. Raises `typer.BadParameter` naming `hint`."""
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def memory(text: str | None, hint: str) -> int | None:
    """Return the bytes in `text` (`2G`, `512M`, `1.5GiB`, in binary units), or raise as `cells` does."""
    if text is None:
        return None
    found = re.match(r"^([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?B)?$", text.strip(), re.IGNORECASE)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no amount of memory; give 512M, 2G, ...", param_hint=hint)
    return round(float(found[1]) * _UNITS[found[2].upper()])


def cores(text: str | None, hint: str) -> float | None:
    """Return the processor cores in `text` (`2`, `0.5`), or raise as `cells` does."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= MAX_CPUS:
        raise typer.BadParameter(
            f"{text!r} is no number of cores; give 2, 0.5, ... (more than 0, at most {MAX_CPUS})",
            param_hint=hint,
        )
    return number
