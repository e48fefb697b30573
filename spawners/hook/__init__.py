"""The program that a CLI's own hooks run: see `program.py`."""

from __future__ import annotations

import os
import sys

__all__ = ["COMMAND"]

COMMAND: tuple[str, ...] = (
    *(sys.executable, "-I", "-S", "-E"),
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py"),
)
"""How it is run: without `site`, which would cost as long again."""
