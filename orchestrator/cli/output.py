"""How answers are printed: JSON as on the wire, or tables of 80 columns."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.cli.words import plain
from relay.wire.base import encode

__all__ = ["Column", "facts", "print_json", "say", "table"]

WIDTH = 80
"""Of output that goes to no terminal, and the least that is used on one."""


@dataclass(frozen=True, slots=True)
class Column:
    """`whole` columns are never cut; the others share the room that is left."""

    title: str
    whole: bool = True
    right: bool = False


def say(message: str) -> None:
    """Tell the user something that is not the answer."""
    print(f"muster: {plain(message)}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a wire value, or a list of them, as indented JSON."""
    sys.stdout.write(msgspec.json.format(encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under `columns`; what does not fit is cut with an ellipsis."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, no_color=True)
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), header_style="bold")
    cells = [[plain(cell) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        longest = max([cell_len(row[index]) for row in cells], default=0)
        grid.add_column(
            column.title,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if column.right else "left",
            min_width=max(longest, len(column.title))
            if column.whole
            else min(longest, max(len(column.title), 8)),
        )
    for row in cells:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values below each other, values wrapped to the width."""
    import shutil
    import textwrap

    shown = [(name, value) for name, value in pairs if value]
    indent = max((len(name) for name, _ in shown), default=0) + 2
    columns = max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH
    for name, value in shown:
        lines = [
            part
            for line in value.splitlines()
            for part in textwrap.wrap(plain(line), columns - indent, break_on_hyphens=False) or [""]
        ]
        print(f"{name:<{indent}}" + ("\n" + " " * indent).join(lines))
